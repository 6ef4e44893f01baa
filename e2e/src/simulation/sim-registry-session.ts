import type { RegistrySession } from '@popmq/coordinator'
import type { Clock, Random } from '@popmq/kit'
import { MqError } from '@popmq/protocol'
import type { RegistryWeather } from './sim-registry.ts'
import type { TraceFacts } from './trace.ts'

/** The way between one process and the registry. */
export interface RegistryWire {
  readonly clock: Clock
  readonly random: Random
  readonly weather: Readonly<RegistryWeather>
  readonly latencyMs: () => number
  readonly isCut: () => boolean
  /** Runs in the process, when it is awake. */
  readonly after: (delayMs: number, run: () => void) => void
  /** Time goes by in the process; absent: as much as a message takes. */
  readonly pass: (delayMs?: number) => Promise<void>
  readonly event: (kind: string, ...facts: TraceFacts) => void
}

type Ops = Parameters<RegistrySession['commit']>[0]
type Outcome = Awaited<ReturnType<RegistrySession['commit']>>
type Fault = 'none' | 'unanswered' | 'dropped' | 'late'

/** How long a request without an answer is waited for. */
const answerMs = 1_000
/** How much later what was not answered may still be done. */
const mostLateMs = 1_500

/** A session over a wire: in order, as one connection is, but for what gets lost. */
export class SimRegistrySession implements RegistrySession {
  readonly #inner: RegistrySession
  readonly #wire: RegistryWire
  readonly #closed: () => void
  /** When what was sent last arrives there, and what was answered last arrives here. */
  #upAtMs = 0
  #downAtMs = 0

  constructor(inner: RegistrySession, wire: RegistryWire, closed: () => void) {
    this.#inner = inner
    this.#wire = wire
    this.#closed = closed
  }

  read(path: string): ReturnType<RegistrySession['read']> {
    return this.#ask(() => this.#inner.read(path))
  }

  children(path: string): ReturnType<RegistrySession['children']> {
    return this.#ask(() => this.#inner.children(path))
  }

  commit(ops: Ops): Promise<Outcome> {
    const { random, weather, event } = this.#wire
    const { unansweredShare, droppedShare, lateShare } = weather
    const drawn = random.next()
    const bounds: [Fault, number][] = [
      ['unanswered', unansweredShare],
      ['dropped', unansweredShare + droppedShare],
      ['late', unansweredShare + droppedShare + lateShare],
    ]
    const fault = bounds.find(([, end]) => drawn < end)?.[0] ?? 'none'
    return new Promise((resolve, reject) => {
      const settle = (outcome: Outcome): void => {
        event('commit', ops.map(({ kind, path }) => `${kind}:${path}`).join(','), outcome.kind)
        resolve(outcome)
      }
      const unknown = (): void => settle({ kind: 'unknown' })
      if (fault !== 'none') event('fault', fault)
      if (fault === 'late') this.#upAtMs = this.#arrivalMs() + random.next() * mostLateMs
      if (fault === 'late') this.#wire.after(answerMs / 2, unknown)
      this.#arrive(fault === 'dropped', unknown, () => {
        const answered = (outcome: Outcome): void => {
          if (fault === 'unanswered') this.#wire.after(answerMs, unknown)
          else if (fault === 'none') this.#answer(() => settle(outcome))
        }
        this.#inner.commit(ops).then(answered, (error: Error) => this.#answer(() => reject(error)))
      })
    })
  }

  watch(path: string, onChange: () => void): () => void {
    let isStopped = false
    const tell = (): void => {
      if (!isStopped) onChange()
    }
    const stop = this.#inner.watch(path, () => {
      const { random, weather, latencyMs, after } = this.#wire
      const times = random.next() < weather.watchTwiceShare ? 2 : 1
      for (let n = 0; n < times; n += 1)
        after(latencyMs() + random.next() * weather.watchLateMs, tell)
    })
    return () => {
      isStopped = true
      stop()
    }
  }

  close(): Promise<void> {
    this.#closed()
    return new Promise((resolve) => {
      this.#arrive(false, resolve, () => {
        void this.#inner.close().then(() => this.#answer(resolve))
      })
    })
  }

  #ask<T>(run: () => Promise<T>): Promise<T> {
    const { random, weather } = this.#wire
    const isDropped = random.next() < weather.droppedShare
    return new Promise((resolve, reject) => {
      const silent = (): void =>
        reject(new MqError('registry_unavailable', 'the registry does not answer'))
      this.#arrive(isDropped, silent, () => {
        run().then(
          (found) => this.#answer(() => resolve(found)),
          (error: Error) => this.#answer(() => reject(error)),
        )
      })
    })
  }

  /** Runs `there` when the request has arrived, whatever has become of the process meanwhile. */
  #arrive(isDropped: boolean, silent: () => void, there: () => void): void {
    const { clock, isCut, after } = this.#wire
    this.#upAtMs = this.#arrivalMs()
    clock.after(this.#upAtMs - clock.monotonic(), () => {
      if (isDropped || isCut()) after(answerMs, silent)
      else there()
    })
  }

  #answer(here: () => void): void {
    const { clock, latencyMs, after } = this.#wire
    this.#downAtMs = Math.max(this.#downAtMs, clock.monotonic() + latencyMs())
    after(this.#downAtMs - clock.monotonic(), here)
  }

  #arrivalMs(): number {
    const { clock, latencyMs } = this.#wire
    return Math.max(this.#upAtMs, clock.monotonic() + latencyMs())
  }
}
