import { Worker } from 'node:worker_threads'
import type { SeedOutcome } from './seed-run.ts'

/** Real time that one seed may take: far more than any needs, so that one that never ends is told. */
const mostSeedMs = 120_000

/** A thread that runs seeds, made anew when one kills it. */
export class SeedThread {
  readonly #plant: string
  #worker: Worker | undefined

  /** `plant`: name of the planted bug that is switched on; empty for none. */
  constructor(plant = '') {
    this.#plant = plant
  }

  /** Runs one seed; whatever becomes of the thread, there is an outcome. */
  async run(seed: number): Promise<SeedOutcome> {
    const worker = (this.#worker ??= this.#start())
    return new Promise((resolve) => {
      const fail = (what: string): void => {
        this.#worker = undefined
        settle({ ...nothing, seed, violations: [{ checker: 'simulator', what }] })
        void worker.terminate()
      }
      const settle = (outcome: SeedOutcome): void => {
        clearTimeout(timer)
        worker.removeAllListeners()
        worker.on('error', () => undefined)
        resolve(outcome)
      }
      const timer = setTimeout(() => fail(`no end after ${mostSeedMs} ms of real time`), mostSeedMs)
      worker.once('message', settle)
      worker.once('error', (error: Error) => fail(error.stack ?? error.message))
      worker.once('exit', (code) => fail(`the thread ended with ${code}`))
      worker.postMessage(seed)
    })
  }

  async close(): Promise<void> {
    await this.#worker?.terminate()
    this.#worker = undefined
  }

  #start(): Worker {
    const workerData = { plant: this.#plant }
    return new Worker(new URL('./seed-worker.js', import.meta.url), { workerData })
  }
}

const nothing: SeedOutcome = { seed: 0, hash: '', events: 0, virtualMs: 0, violations: [], summary: '' }
