import { assert, type Backoff } from '@popmq/kit'
import type { Checksum, MqError, ProducerId, RunResult } from '@popmq/protocol'
import { type AttemptOutcome, attemptVerdict, outcomeUnknown } from './attempt-verdict.ts'
import type { NumberedRun } from './numbered-run.ts'
import type { Run } from './run.ts'

/**
 * How many runs the broker remembers of a partition. The oldest that is not settled must be among them, so it and those
 * numbered after it, settled or not, are never more.
 */
export const runsInFlight = 5
/** A sequence must stay below this: before it a new epoch is taken. */
export const sequenceEnd = 2 ** 31
export const lastProducerEpoch = 0xffff

export interface RunSequenceDeps {
  readonly crc32: Checksum
  readonly backoff: Backoff
  /** Told, once per run, that all its records were told of their fate. */
  readonly settled: (run: Run, error: MqError | undefined) => void
  /** Tells the records of a run where they lie. */
  readonly place: (run: Run, result: RunResult) => void
}

/**
 * Numbers the runs of one partition so that each is stored once and in order, however often it is sent.
 *
 * A run: waiting → numbered (ready ⇄ sent) → settled: acked, failed (surely not stored) or unknown (perhaps stored).
 * A run that is sent again has the same number and bytes. No number is given when the oldest that is not settled has
 * four or more behind it.
 *
 * The sequence:
 *   open       gives numbers.
 *   rewinding  an attempt failed: nothing is sent until none is under way → open, and the numbered runs go out again
 *              in order, after a pause.
 *   ending     no new numbers: a run ended otherwise than acked, or the numbers are used up. Numbered runs still go out,
 *              but for those that are cut: behind a run that was surely not stored and will not be, none can be. When
 *              nothing is under way and only cut ones are left, they wait again → open under the next epoch.
 *   starved    the epochs are used up, or there is no producer id yet: `identify` → open.
 *   fenced     for good: another producer has the id.
 *
 * A broker that does not know what came before (`sequence_gap`, `producer_unknown`) is believed only by a run that was
 * sent as head, that is behind settled runs alone. Then a run that does not float was surely not stored: it is cut, with
 * all behind it. One that floats ends unknown, for an earlier attempt may yet be carried out. To others a gap only says
 * that one before them must come first.
 */
export class RunSequence {
  readonly #deps: RunSequenceDeps
  readonly #waiting: Run[] = []
  readonly #numbered: NumberedRun[] = []
  /** Attempts under way, those of runs that are gone counted. */
  #underWay = 0
  #isRewinding = false
  #isEnding = false
  #isFenced = false
  #producerId: ProducerId | undefined
  #epoch = 0
  #nextBase = 0
  #nextOrdinal = 0
  #pausedUntil = 0
  #epochsTaken = 0
  #resentRuns = 0

  constructor(deps: RunSequenceDeps) {
    this.#deps = deps
  }

  /** Gives the producer id: at the start, and when `needsProducerId`. Ignored otherwise. */
  identify(producerId: ProducerId): void {
    if (!this.needsProducerId) return
    this.#producerId = producerId
    this.#epoch = 0
    this.#nextBase = 0
  }

  get needsProducerId(): boolean {
    return this.#producerId === undefined
  }

  /** Whether every run is settled and no attempt is under way. */
  get isIdle(): boolean {
    return this.#waiting.length === 0 && this.#numbered.length === 0 && this.#underWay === 0
  }

  /** The run that records may join: it has no number and none behind it. */
  get newest(): Run | undefined {
    const newest = this.#waiting.at(-1)
    return newest?.number === undefined ? newest : undefined
  }

  get waitingRuns(): number {
    return this.#waiting.length
  }

  /** When sending goes on after a failure, on the monotonic clock; in the past when it is not paused. */
  get pausedUntil(): number {
    return this.#pausedUntil
  }

  get epochsTaken(): number {
    return this.#epochsTaken
  }

  get resentRuns(): number {
    return this.#resentRuns
  }

  /** Adds a run; records may join it while it is the newest. */
  add(run: Run): void {
    this.#waiting.push(run)
  }

  /** The run that `take` would give, but for a pause. */
  peek(): Run | undefined {
    if (this.#isFenced || this.#producerId === undefined) return undefined
    if (this.#isRewinding) return undefined
    const again = this.#numbered.find((each) => each.state === 'ready' && !each.isCut)
    if (again !== undefined) return again.run
    if (this.#isEnding || this.#isWindowFull) return undefined
    return this.#waiting[0]
  }

  get #isWindowFull(): boolean {
    const [oldest] = this.#numbered
    return oldest !== undefined && this.#nextOrdinal - oldest.ordinal >= runsInFlight
  }

  /** Takes the next run to send. Its attempt is under way until `answered`. Only when `peek` gives one. */
  take(): Run | undefined {
    const next = this.peek()
    if (next === undefined) return undefined
    if (!this.#numbered.some((each) => each.run === next) && !this.#number(next)) return this.take()
    const numbered = this.#numbered.find((each) => each.run === next)
    assert(numbered?.state === 'ready', 'a run that is taken has a number and is not under way')
    numbered.state = 'sent'
    numbered.wasHead = this.#numbered[0] === numbered && this.#underWay === 0
    if (numbered.attempts > 0) this.#resentRuns += 1
    numbered.attempts += 1
    this.#underWay += 1
    return next
  }

  /** Tells what the attempt of a run that was taken brought. */
  answered(run: Run, outcome: AttemptOutcome, now: number): void {
    this.#underWay -= 1
    const numbered = this.#numbered.find((each) => each.run === run)
    if (numbered !== undefined) {
      if (outcome.kind === 'acked') this.#acked(numbered, outcome.result)
      else this.#failed(numbered, outcome.error, now)
    }
    this.#advance()
  }

  /** Ends the runs whose time is over. `why` is the reason for those that never had one. */
  expire(now: number, why: () => MqError): void {
    for (const numbered of this.#numbered.filter(({ run }) => run.expiresAt <= now)) {
      this.#endNumbered(numbered, numbered.run.lastError ?? why())
    }
    for (const run of this.#waiting.filter(({ expiresAt }) => expiresAt <= now)) {
      this.#waiting.splice(this.#waiting.indexOf(run), 1)
      this.#fail(run, run.lastError ?? why())
    }
    this.#advance()
  }

  /** Ends all runs: those that may have been stored as unknown, the others with `error`. */
  end(error: MqError): void {
    for (const numbered of [...this.#numbered]) this.#endNumbered(numbered, error)
    for (const run of this.#waiting.splice(0)) this.#fail(run, error)
    this.#advance()
  }

  get isFenced(): boolean {
    return this.#isFenced
  }

  /** Sends at once what a pause holds back. */
  unpause(): void {
    this.#pausedUntil = 0
  }

  /** Gives the first waiting run a number. @returns whether it got one: not when the numbers are used up */
  #number(run: Run): boolean {
    const producerId = this.#producerId
    assert(producerId !== undefined && this.#waiting[0] === run, 'runs are numbered in order')
    if (this.#nextBase + run.count >= sequenceEnd) {
      this.#isEnding = true
      this.#advance()
      return false
    }
    this.#waiting.shift()
    run.seal({ producerId, producerEpoch: this.#epoch, base: this.#nextBase }, this.#deps.crc32)
    this.#nextBase += run.count
    const ordinal = this.#nextOrdinal
    this.#nextOrdinal += 1
    const fresh = { isFloating: false, isCut: false, wasHead: false, attempts: 0 }
    this.#numbered.push({ run, ordinal, state: 'ready', ...fresh })
    return true
  }

  #acked(numbered: NumberedRun, result: RunResult): void {
    this.#remove(numbered)
    this.#deps.backoff.reset()
    this.#deps.place(numbered.run, result)
    this.#deps.settled(numbered.run, undefined)
  }

  #failed(numbered: NumberedRun, error: MqError, now: number): void {
    const { run } = numbered
    numbered.state = 'ready'
    const verdict = attemptVerdict(error)
    if (verdict === 'fenced') {
      this.#isFenced = true
      return this.end(error)
    }
    if (numbered.isCut) return
    switch (verdict) {
      case 'again':
      case 'perhaps':
        run.lastError = error
        numbered.isFloating ||= verdict === 'perhaps'
        return this.#rewind(now, error.retryAfterMs)
      case 'out_of_order':
        return this.#outOfOrder(numbered, error, now)
      case 'forgotten':
        numbered.isFloating = true
        return this.#endNumbered(numbered, error)
      case 'never':
        return this.#endNumbered(numbered, error)
      default:
        verdict satisfies never
    }
  }

  #outOfOrder(numbered: NumberedRun, error: MqError, now: number): void {
    // Base 0 follows on nothing: a broker that refuses it is at fault, and is not asked in a tight loop.
    if (numbered.run.number?.base === 0) return this.#rewind(now)
    this.#isRewinding = true
    if (!numbered.wasHead) return
    if (numbered.isFloating) return this.#endNumbered(numbered, error)
    this.#isEnding = true
    this.#cutFrom(this.#numbered.indexOf(numbered))
  }

  /** Ends a numbered run that is not acked: unknown when it may have been stored, else failed. */
  #endNumbered(numbered: NumberedRun, error: MqError): void {
    const mayBeStored = !numbered.isCut && (numbered.isFloating || numbered.state === 'sent')
    const index = this.#remove(numbered)
    this.#isEnding = true
    if (!mayBeStored) this.#cutFrom(index)
    this.#fail(numbered.run, mayBeStored ? outcomeUnknown(error) : error)
  }

  #cutFrom(index: number): void {
    for (const behind of this.#numbered.slice(index)) behind.isCut = true
  }

  #fail(run: Run, error: MqError): void {
    run.failed(error)
    this.#deps.settled(run, error)
  }

  /** @returns where it was */
  #remove(numbered: NumberedRun): number {
    const index = this.#numbered.indexOf(numbered)
    this.#numbered.splice(index, 1)
    return index
  }

  /** Has the numbered runs sent again, after a pause that grows with each time. */
  #rewind(now: number, leastMs = 0): void {
    if (this.#pausedUntil <= now) this.#pausedUntil = now + this.#deps.backoff.nextMs()
    this.#pausedUntil = Math.max(this.#pausedUntil, now + leastMs)
    this.#isRewinding = true
  }

  #advance(): void {
    if (this.#underWay > 0) return
    this.#isRewinding = false
    if (this.#isEnding && this.#numbered.every(({ isCut }) => isCut)) this.#nextEpoch()
  }

  #nextEpoch(): void {
    const again = this.#numbered.splice(0).map(({ run }) => run)
    this.#waiting.unshift(...again)
    this.#isEnding = false
    this.#nextBase = 0
    this.#epochsTaken += 1
    if (this.#epoch === lastProducerEpoch) this.#producerId = undefined
    else this.#epoch += 1
  }
}
