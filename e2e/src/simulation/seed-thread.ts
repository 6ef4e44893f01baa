import { Worker } from 'node:worker_threads'
import type { SeedOutcome } from './seed-run.ts'

/** Real time that one seed may take: far more than any needs, so that one that never ends is told. */
const mostSeedMs = 120_000

/** A thread that runs seeds, made anew when one kills it. */
export class SeedThread {
  readonly #plant: string
  #worker: Worker | undefined
  /** Takes the outcome of the seed under way. */
  #settle: ((outcome: SeedOutcome) => void) | undefined
  #seed = 0

  /** `plant`: name of the planted bug that is switched on; empty for none. */
  constructor(plant = '') {
    this.#plant = plant
  }

  /** Runs one seed; whatever becomes of the thread, there is an outcome. */
  async run(seed: number): Promise<SeedOutcome> {
    const worker = (this.#worker ??= this.#start())
    const timer = setTimeout(
      () => this.#fail(`no end after ${mostSeedMs} ms of real time`),
      mostSeedMs,
    )
    const outcome = await new Promise<SeedOutcome>((resolve) => {
      this.#settle = resolve
      this.#seed = seed
      worker.postMessage(seed)
    })
    clearTimeout(timer)
    return outcome
  }

  async close(): Promise<void> {
    const worker = this.#worker
    this.#worker = undefined
    await worker?.terminate()
  }

  #start(): Worker {
    const workerData = { plant: this.#plant }
    const worker = new Worker(new URL('./seed-worker.js', import.meta.url), { workerData })
    worker.on('message', (outcome: SeedOutcome) => this.#settle?.(outcome))
    worker.on('error', (error: Error) => this.#fail(error.stack ?? error.message))
    worker.on('exit', (code) => {
      if (this.#worker === worker) this.#fail(`the thread ended with ${code}`)
    })
    return worker
  }

  #fail(what: string): void {
    const violations = [{ checker: 'simulator', what }]
    this.#settle?.({ seed: this.#seed, hash: '', events: 0, virtualMs: 0, violations, summary: '' })
    void this.close()
  }
}
