import { crc32 } from '@popmq/kit/checksum'
import { Backoff } from '@popmq/kit'
import { SeededRandom } from '@popmq/kit/testing'
import { MqError, partitionNumber, prepareMessage, producerId, topicId } from '@popmq/protocol'
import type { AttemptOutcome } from '../core/attempt-verdict.ts'
import { Run, type RunNumber } from '../core/run.ts'
import { RunSequence } from '../core/run-sequence.ts'

/** A request as it travels: what the run was when it was taken. */
interface Attempt {
  readonly run: Run
  readonly label: number
  readonly number: RunNumber
  readonly count: number
  readonly crc: number
  /** The client has had an answer, or was told that there will be none. */
  isAnswered: boolean
  /** A copy of it arrived: what a broker carried out it does not refuse as well. */
  hasArrived: boolean
}

interface Window {
  epoch: number
  runs: { base: number; count: number; crc: number; label: number }[]
}

export type Step =
  | 'add'
  | 'send'
  | 'deliver'
  | 'deliver_lost'
  | 'duplicate'
  | 'give_up'
  | 'drop'
  | 'busy'
  | 'refuse'
  | 'forget'
  | 'wait'
  | 'expire'

const target = { topicId: topicId(1), partition: partitionNumber(0), kind: 'message' } as const
const message = prepareMessage({}, 'x')
const deliverWithinMs = 1_000

/**
 * A run sequence against a broker and a network in the plainest form: the broker keeps its log as the labels of runs and
 * judges as the protocol says; the network delivers in any order, twice, late, or never.
 */
export class RunSequenceModel {
  readonly log: number[] = []
  readonly outcomes = new Map<number, ('acked' | 'unknown' | 'failed')[]>()
  readonly sequence: RunSequence
  /** A run that the broker does not remember any more was sent again. */
  hasAskedTooLate = false
  readonly #network: Attempt[] = []
  readonly #labels = new Map<Run, number>()
  #window: Window | undefined
  #now = 0
  #added = 0

  constructor(seed: number) {
    this.sequence = new RunSequence({
      crc32,
      backoff: new Backoff(new SeededRandom(seed), { firstMs: 1, mostMs: 10 }),
      place: () => undefined,
      settled: (run, error) => {
        const kind =
          error === undefined ? 'acked' : error.name === 'outcome_unknown' ? 'unknown' : 'failed'
        this.outcomes.get(this.#label(run))?.push(kind)
      },
    })
    this.sequence.identify(producerId(7))
  }

  get added(): number {
    return this.#added
  }

  step(step: Step, pick: number): void {
    switch (step) {
      case 'add':
        return this.#add(pick)
      case 'send':
        return this.#send()
      case 'wait':
        this.#now += 10
        return
      case 'expire':
        this.#now += deliverWithinMs / 3
        return this.sequence.expire(this.#now, () => new MqError('unreachable', 'too late'))
      case 'forget':
        if (!this.#isBaseZeroAbout()) this.#window = undefined
        return
      case 'deliver':
      case 'deliver_lost':
      case 'duplicate':
      case 'give_up':
      case 'drop':
      case 'busy':
      case 'refuse':
        return this.#travel(step, pick)
      default:
        step satisfies never
    }
  }

  /** Lets everything come to an end without further faults. */
  finish(): void {
    for (let round = 0; round < 1_000 && !this.sequence.isIdle; round += 1) {
      this.#now += 20
      this.#send()
      for (const attempt of this.#network.splice(0)) this.#answer(attempt, this.#judge(attempt))
    }
    for (const attempt of this.#network.splice(0)) this.#judge(attempt)
  }

  #label(run: Run): number {
    return this.#labels.get(run) ?? -1
  }

  /** A broker forgets after an hour: when nobody sends a run of base 0 any more, and none is on its way, nor a copy. */
  #isBaseZeroAbout(): boolean {
    if (this.#network.some(({ number, hasArrived }) => hasArrived || number.base === 0)) return true
    return [...this.#labels].some(
      ([run, label]) => run.number?.base === 0 && this.outcomes.get(label)?.length === 0,
    )
  }

  #add(pick: number): void {
    const label = this.#added
    this.#added += 1
    const run = new Run(target, this.#now + deliverWithinMs, 300)
    const ids = new Uint8Array(32).fill(label)
    const told = { acked: () => undefined, failed: () => undefined }
    const owner = { ...told, ids, expiresAt: run.expiresAt }
    for (let slot = 0; slot <= pick % 2; slot += 1) run.add({ message, owner, slot })
    this.#labels.set(run, label)
    this.outcomes.set(label, [])
    this.sequence.add(run)
  }

  #send(): void {
    if (this.sequence.pausedUntil > this.#now) return
    for (let run = this.sequence.take(); run !== undefined; run = this.sequence.take()) {
      // A run that was taken has a number.
      const number = run.number!
      const label = this.#label(run)
      const crc = crc32(run.bytes)
      this.#network.push({
        run,
        label,
        number,
        count: run.count,
        crc,
        isAnswered: false,
        hasArrived: false,
      })
    }
  }

  #travel(step: Exclude<Step, 'add' | 'send' | 'wait' | 'expire' | 'forget'>, pick: number): void {
    const index = pick % Math.max(1, this.#network.length)
    const attempt = this.#network[index]
    if (attempt === undefined) return
    const lost: AttemptOutcome = { kind: 'failed', error: new MqError('connection_lost', 'lost') }
    const refused = (name: 'broker_busy' | 'message_too_large'): AttemptOutcome => {
      return { kind: 'failed', error: new MqError(name, name) }
    }
    if (step !== 'duplicate' && step !== 'give_up') this.#network.splice(index, 1)
    const isRefusal = step === 'busy' || step === 'refuse'
    switch (isRefusal && attempt.hasArrived ? 'deliver' : step) {
      case 'deliver':
        return this.#answer(attempt, this.#judge(attempt))
      case 'deliver_lost':
        this.#judge(attempt)
        return this.#answer(attempt, lost)
      case 'duplicate':
        attempt.hasArrived = true
        this.#judge(attempt)
        return
      case 'give_up':
        // The client hears nothing, yet the request is still on its way.
        return this.#answer(attempt, lost)
      case 'drop':
        return this.#answer(attempt, lost)
      case 'busy':
        return this.#answer(attempt, refused('broker_busy'))
      case 'refuse':
        return this.#answer(attempt, refused('message_too_large'))
    }
  }

  #answer(attempt: Attempt, outcome: AttemptOutcome): void {
    if (attempt.isAnswered) return
    attempt.isAnswered = true
    this.sequence.answered(attempt.run, outcome, this.#now)
  }

  #judge({
    label,
    number: { producerEpoch, base },
    count,
    crc,
    isAnswered,
  }: Attempt): AttemptOutcome {
    const refuse = (name: MqError['name']): AttemptOutcome => ({
      kind: 'failed',
      error: new MqError(name, name),
    })
    const window = this.#window
    if (window !== undefined && producerEpoch < window.epoch) return refuse('producer_fenced')
    const isFresh = window === undefined || producerEpoch > window.epoch
    if (isFresh && base !== 0) return refuse('producer_unknown')
    const runs = isFresh ? [] : window.runs
    const known = runs.find((run) => run.base === base)
    if (known !== undefined) {
      const isSame = known.count === count && known.crc === crc
      return isSame ? { kind: 'acked', result: {} } : refuse('sequence_reused')
    }
    const last = runs.at(-1)
    const next = last === undefined ? 0 : last.base + last.count
    if (base > next) return refuse('sequence_gap')
    if (base < next) {
      this.hasAskedTooLate ||= !isAnswered
      return refuse('sequence_too_old')
    }
    this.#window = { epoch: producerEpoch, runs: [...runs, { base, count, crc, label }].slice(-5) }
    this.log.push(label)
    return { kind: 'acked', result: {} }
  }
}
