import { readdir } from 'node:fs/promises'
import { join, parse } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { type Clock, type Deferred, deferred, type Timer } from '@popmq/kit'
import { MqError } from '@popmq/protocol'
import type { AssignorReply } from './assignor-worker.ts'

export interface AssignorModulesOptions {
  readonly clock: Clock
  /** How long one assignment may take, in ms. @defaultValue 50 */
  readonly withinMs?: number
}

/**
 * The assignors of a folder: each `NAME.mjs` or `NAME.js` exports `assign(input)`, which gives a list of
 * `{ topicId, partition, memberId }`. Each runs in a thread of its own; one that hangs is ended, and begun anew for the
 * next plan. A folder that cannot be read is refused; a module that cannot be used is heard of when a group is planned.
 * @throws MqError `invalid_config`
 */
export async function loadAssignorModules(
  folder: string,
  { clock, withinMs = 50 }: AssignorModulesOptions,
): Promise<LoadedModules> {
  let files: string[]
  try {
    files = await readdir(folder)
  } catch (cause) {
    throw new MqError('invalid_config', `the folder of assignors ${folder} cannot be read`, {
      cause,
    })
  }
  const modules = new Map<string, AssignorThread>()
  for (const file of files.toSorted()) {
    const { name, ext } = parse(file)
    if (ext !== '.mjs' && ext !== '.js') continue
    const url = pathToFileURL(join(folder, file)).href
    modules.set(name, new AssignorThread(url, { clock, withinMs }))
  }
  await Promise.all(Array.from(modules.values(), (thread) => thread.ready()))
  return new LoadedModules(modules)
}

/** The assignors by name, as core asks for them. */
export class LoadedModules {
  readonly assignors: ReadonlyMap<string, (input: unknown) => Promise<unknown>>
  readonly #threads: readonly AssignorThread[]

  constructor(threads: ReadonlyMap<string, AssignorThread>) {
    this.#threads = [...threads.values()]
    this.assignors = new Map(
      [...threads].map(([name, thread]) => [name, (input: unknown) => thread.assign(input)]),
    )
  }

  /** Ends the threads. Idempotent. */
  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.close()))
  }
}

/** How long a module may take to be loaded. */
const loadMs = 10_000

/**
 * One module in its thread.
 *    idle → starting     at the beginning, and when it is asked
 *    starting → ready    the module was loaded; only now it answers
 *    → idle              it hung, died, could not be loaded, or was closed
 */
class AssignorThread {
  readonly #url: string
  readonly #clock: Clock
  readonly #withinMs: number
  #worker: Worker | undefined
  #ready: Deferred<void> | undefined
  #isReady = false
  #unusable: MqError | undefined
  #asked = new Map<number, Deferred<unknown>>()
  #number = 0

  constructor(url: string, { clock, withinMs }: Required<AssignorModulesOptions>) {
    this.#url = url
    this.#clock = clock
    this.#withinMs = withinMs
  }

  /** Resolves when the module is loaded, or cannot be. */
  async ready(): Promise<void> {
    const loaded = this.#within(this.#start().promise, loadMs)
    await loaded.catch((error: unknown) => {
      // Whoever asks it to assign hears why it does not.
      this.#unusable = error instanceof MqError ? error : unusable(String(error))
    })
  }

  /** @throws MqError `invalid_config` with the reason: it is not loaded, threw, or took too long */
  async assign(input: unknown): Promise<unknown> {
    if (!this.#isReady) {
      const reason = this.#unusable ?? unusable('its thread is being started')
      if (this.#worker === undefined) void this.ready()
      throw reason
    }
    this.#number += 1
    const answer = deferred<unknown>()
    this.#asked.set(this.#number, answer)
    this.#worker?.postMessage({ number: this.#number, input })
    return this.#within(answer.promise, this.#withinMs)
  }

  async close(): Promise<void> {
    const worker = this.#worker
    this.#end(unusable('the coordinator is stopping'))
    await worker?.terminate()
  }

  #start(): Deferred<void> {
    if (this.#ready !== undefined) return this.#ready
    const ready = deferred()
    this.#ready = ready
    const worker = new Worker(new URL('./assignor-worker.js', import.meta.url), {
      workerData: this.#url,
      resourceLimits: { maxOldGenerationSizeMb: 128 },
      // What it prints is not ours to show.
      stdout: true,
      stderr: true,
    })
    worker.unref()
    this.#worker = worker
    worker.on('message', (reply: AssignorReply) => this.#hear(worker, reply))
    worker.on('error', (error) => this.#end(unusable(`it ended with ${String(error)}`), worker))
    worker.on('exit', () => this.#end(unusable('its thread ended'), worker))
    return ready
  }

  #hear(worker: Worker, reply: AssignorReply): void {
    if (worker !== this.#worker) return
    switch (reply.kind) {
      case 'ready':
        this.#isReady = true
        this.#unusable = undefined
        return this.#ready?.resolve()
      case 'unusable':
        return this.#end(unusable(reply.reason), worker)
      case 'result':
        this.#asked.get(reply.number)?.resolve(reply.result)
        break
      case 'failed':
        this.#asked.get(reply.number)?.reject(unusable(reply.reason))
        break
      default:
        return reply satisfies never
    }
    this.#asked.delete(reply.number)
  }

  /** Resolves in time, or ends the thread. */
  async #within<T>(answer: Promise<T>, withinMs: number): Promise<T> {
    const worker = this.#worker
    const timer: Timer = this.#clock.after(withinMs, () => {
      this.#end(unusable(`it took more than ${withinMs} ms`), worker)
    })
    try {
      return await answer
    } finally {
      timer.cancel()
    }
  }

  #end(reason: MqError, of = this.#worker): void {
    if (of === undefined || of !== this.#worker) return
    this.#worker = undefined
    this.#isReady = false
    void of.terminate()
    const asked = [...this.#asked.values()]
    this.#asked.clear()
    this.#ready?.reject(reason)
    this.#ready = undefined
    for (const answer of asked) answer.reject(reason)
  }
}

function unusable(reason: string): MqError {
  return new MqError('invalid_config', reason)
}
