import { assert } from '../assert.ts'
import type { Clock } from '../clock.ts'
import { deferred } from '../deferred.ts'
import type { Random } from '../random.ts'
import { StorageError } from '../storage.ts'

export type StorageEffectKind =
  | 'write'
  | 'sync'
  | 'truncate'
  | 'create'
  | 'rename'
  | 'remove'
  | 'syncFolder'

export interface StorageOperation {
  readonly kind: 'read' | StorageEffectKind
  /** Of a renaming: the old name. */
  readonly path: string
  /** Bytes to read or write, or the length to cut to; else 0. */
  readonly bytes: number
  /** Counts the operations of this kind on this storage, from 1. */
  readonly count: number
}

/** `full` and `short` (how many bytes get written, at least 1) are for writes; `full` also for creations and renamings. */
export type StorageFault = 'ok' | 'full' | 'failed' | { readonly short: number }

export interface StorageOperationsOptions {
  /** When an operation takes place. @defaultValue the next micro-task; `randomLatency` makes them overtake each other */
  readonly schedule?: (run: () => void) => void
  /** Asked when an operation takes place. @defaultValue all is well */
  readonly fault?: (operation: StorageOperation) => StorageFault
}

/** A schedule by which each operation takes place after a random time on `clock`, 0.1..5 ms unless told. */
export function randomLatency(
  clock: Clock,
  random: Random,
  { lowMs, highMs } = { lowMs: 0.1, highMs: 5 },
): (run: () => void) => void {
  return (run) => void clock.after(lowMs + random.next() * (highMs - lowMs), run)
}

/**
 * When and whether the operations of a memory storage take place.
 *
 *   running → stopped   at the first effect beyond `stopAfter`: no operation completes any more
 *   either  → crashed   by `crash`: what was under way never completes, what is asked from then on fails
 */
export class StorageOperations {
  readonly #options: StorageOperationsOptions
  readonly #counts = new Map<StorageOperation['kind'], number>()
  readonly #planned: { readonly kind: StorageOperation['kind']; readonly fault: StorageFault }[] =
    []
  readonly #stopped = deferred()
  #state: 'running' | 'stopped' | 'crashed' = 'running'
  #effects: StorageOperation[] = []
  #lastEffect = Number.POSITIVE_INFINITY

  constructor(options: StorageOperationsOptions) {
    this.#options = options
  }

  /** What has been done so far, reading apart; failed attempts count. */
  get effects(): readonly StorageOperation[] {
    return this.#effects
  }

  get crashed(): boolean {
    return this.#state === 'crashed'
  }

  /** Resolves when `stopAfter` has held back an effect. */
  get stopped(): Promise<void> {
    return this.#stopped.promise
  }

  stopAfter(effects: number): void {
    this.#lastEffect = effects
  }

  failNext(kind: StorageOperation['kind'], fault: StorageFault): void {
    this.#planned.push({ kind, fault })
  }

  crash(): void {
    this.#state = 'crashed'
  }

  /** Does something that no fault concerns and that changes nothing. */
  look<T>(effect: () => T): Promise<T> {
    return this.#later(() => effect())
  }

  /** Does `effect` when its time comes; it gets what the disk has in mind, which is never `failed`. */
  run<T>(asked: Omit<StorageOperation, 'count'>, effect: (fault: StorageFault) => T): Promise<T> {
    return this.#later(() => {
      const count = (this.#counts.get(asked.kind) ?? 0) + 1
      this.#counts.set(asked.kind, count)
      const operation = { ...asked, count }
      if (asked.kind !== 'read') this.#effects.push(operation)
      return effect(this.#faultOf(operation))
    }, asked.kind !== 'read')
  }

  #later<T>(effect: () => T, changes = false): Promise<T> {
    if (this.#state === 'crashed')
      return Promise.reject(new StorageError('failed', 'this storage has crashed'))
    return new Promise((done, fail) => {
      const schedule = this.#options.schedule ?? queueMicrotask
      schedule(() => {
        if (changes && this.#state === 'running' && this.#effects.length >= this.#lastEffect) {
          this.#state = 'stopped'
          this.#stopped.resolve()
        }
        if (this.#state !== 'running') return
        try {
          done(effect())
        } catch (error) {
          fail(error instanceof Error ? error : new Error(String(error)))
        }
      })
    })
  }

  #faultOf(operation: StorageOperation): StorageFault {
    const at = this.#planned.findIndex(({ kind }) => kind === operation.kind)
    const [planned] = at === -1 ? [] : this.#planned.splice(at, 1)
    const fault = planned?.fault ?? this.#options.fault?.(operation) ?? 'ok'
    const { kind, path } = operation
    if (typeof fault === 'object')
      assert(kind === 'write' && fault.short >= 1, 'only a write can be short, by 1 byte or more')
    if (fault === 'full' && kind !== 'sync')
      throw new StorageError('full', `${kind} ${path}: no room`)
    if (fault === 'ok' || typeof fault === 'object' || kind === 'sync') return fault
    throw new StorageError('failed', `${kind} ${path}: input/output error`)
  }
}
