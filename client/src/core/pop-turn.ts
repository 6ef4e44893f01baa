import { assert } from '@popmq/kit'
import { isMqError, MqError } from '@popmq/protocol'
import type { BrokerBoard, PoppedBroker } from './broker-board.ts'
import type { LeasedMessage } from './leased-message.ts'

/** After this long without an answer another broker is asked, in ms; and a call that is over waits no longer. */
const patienceMs = 1_000

/**
 * One call that waits for messages: whom it has asked, and what came.
 *   asking   brokers are popped in turn; while one is asked, another only once that one is late
 *   served   the first that had messages gave them
 *   over     its time is up, and nobody who was asked is worth waiting for
 *   ended    its caller has an answer: what comes now is for nobody
 */
export class PopTurn {
  readonly endsAt: number
  /** Each broker is asked once, whatever is known of it. */
  readonly #isOneRound: boolean
  /** Those that were asked, and since when they are late. */
  readonly #underWay = new Map<PoppedBroker, number>()
  readonly #asked = new Set<string>()
  #messages: readonly LeasedMessage[] | undefined
  #hasAnswer = false
  #error: MqError | undefined
  #fatal: MqError | undefined
  #reopens = 0
  #isEnded = false

  constructor({ waitMs }: { readonly waitMs: number }, now: number) {
    this.endsAt = now + waitMs
    this.#isOneRound = waitMs === 0
  }

  /** What came; at least one. */
  get messages(): readonly LeasedMessage[] | undefined {
    return this.#messages
  }

  /** Why it is of no use to go on. */
  get fatal(): MqError | undefined {
    return this.#fatal
  }

  /** The broker to pop now. */
  next(board: BrokerBoard, now: number): PoppedBroker | undefined {
    if (this.#isLateAt > now) return undefined
    if (this.#isOneRound) return board.next(now, this.#asked, true)
    // A broker holds whole ms: with less than one left it would answer at once, and be asked again.
    if (this.endsAt - now < 1) return undefined
    return board.next(now, new Set([...this.#underWay.keys()].map(({ address }) => address)))
  }

  /** How long a broker that is alone may hold a request. */
  holdMs(now: number, mostMs: number): number {
    return Math.floor(Math.min(mostMs, Math.max(0, this.endsAt - now)))
  }

  asked(broker: PoppedBroker, now: number): void {
    this.#asked.add(broker.address)
    this.#underWay.set(broker, now + patienceMs)
  }

  /** @returns whether the messages are taken: they are not when the call has some, or is answered */
  answered(broker: PoppedBroker, messages: readonly LeasedMessage[]): boolean {
    this.#underWay.delete(broker)
    this.#hasAnswer = true
    if (messages.length === 0) return true
    if (this.#isEnded || this.#messages !== undefined) return false
    this.#messages = messages
    return true
  }

  failed(broker: PoppedBroker, error: MqError): void {
    this.#underWay.delete(broker)
    this.#error = error
    if (error.retriable !== 'no') return
    // The group may have been deleted, or a topic: it is opened again once, and tells.
    const mayMend = isMqError(error, 'group_not_found', 'topic_not_found') && this.#reopens === 0
    this.#reopens += 1
    this.#asked.delete(broker.address)
    if (!mayMend) this.#fatal = error
  }

  /** Whether it is worth while to leave hints. */
  mayWait(now: number): boolean {
    return !this.#isOneRound && now < this.endsAt
  }

  /** Whether there is nothing more to wait for. */
  isOver(now: number): boolean {
    if (now < this.endsAt) return false
    return this.#underWay.size === 0 || now >= Math.max(this.endsAt + patienceMs, this.#isLateAt)
  }

  /** When to look again, at the latest. */
  wakesAt(now: number, boardWakesAt: number | undefined): number {
    const times = [this.endsAt, this.endsAt + patienceMs, this.#isLateAt]
    if (this.mayWait(now) && boardWakesAt !== undefined) times.push(boardWakesAt)
    const later = times.filter((time) => time > now)
    return later.length === 0 ? Number.POSITIVE_INFINITY : Math.min(...later)
  }

  /** @returns `[]` @throws MqError when no broker is known to have nothing */
  outcome(board: BrokerBoard): readonly LeasedMessage[] {
    assert(this.#messages === undefined, 'what came is given')
    if (this.#hasAnswer || board.isKnownEmpty) return []
    throw this.#error ?? new MqError('timed_out', 'no broker of the topics answered in time')
  }

  end(): void {
    this.#isEnded = true
  }

  /** When another may be asked: the last that is under way is late. */
  get #isLateAt(): number {
    return Math.max(Number.NEGATIVE_INFINITY, ...this.#underWay.values())
  }
}
