import { isHeldNumber } from '@popmq/protocol'
import {
  type DeliveredPlace,
  type DeliveryHistory,
  type Handed,
  placeName,
  type Reset,
  type RetryChange,
  type Settle,
  type TakeBack,
} from '../delivery-history.ts'

/** What happened to one message for one group, each list in the order of time. */
export class MessageStory {
  readonly place: DeliveredPlace
  readonly handed: Handed[] = []
  readonly settles: Settle[] = []
  readonly takeBacks: TakeBack[] = []
  readonly retryChanges: RetryChange[] = []
  readonly #history: DeliveryHistory
  readonly #resets: readonly Reset[]

  constructor(place: DeliveredPlace, history: DeliveryHistory, resets: readonly Reset[]) {
    this.place = place
    this.#history = history
    this.#resets = resets
  }

  get name(): string {
    return placeName(this.place)
  }

  /** Every reset of the group in the partition. */
  get resets(): readonly Reset[] {
    return this.#resets
  }

  get maxAttempts(): number {
    const rules = this.#history.groups.find(({ id }) => id === this.place.group)
    return rules?.maxAttempts ?? Number.POSITIVE_INFINITY
  }

  get backOffMs(): readonly number[] {
    return this.#history.groups.find(({ id }) => id === this.place.group)?.backOffMs ?? []
  }

  get node(): string {
    return this.#history.leaders.get(this.place.partition) ?? ''
  }

  /** Whether a reset that was asked for before may have it handed out anew. */
  mayBeReopened(beforeMs: number): boolean {
    return this.#resets.some(
      ({ offset, askedMs }) => askedMs < beforeMs && offset <= this.place.offset,
    )
  }

  /** Whether its broker came to an end between two times: what was not synced may be lost. */
  hasLifeEnd(afterMs: number, beforeMs: number): boolean {
    const { node } = this
    return this.#history.lifeEnds.some(
      (end) => end.node === node && end.atMs >= afterMs && end.atMs <= beforeMs,
    )
  }

  /** Whether something may have been handed out that nobody saw. */
  hasUnseenPop(afterMs: number, beforeMs: number): boolean {
    const { node, place } = this
    return this.#history.pops.some(
      (pop) =>
        pop.group === place.group &&
        pop.node === node &&
        pop.answeredMs === Number.POSITIVE_INFINITY &&
        pop.askedMs < beforeMs &&
        pop.askedMs + longestPopMs > afterMs,
    )
  }

  /** Whether the wall clock of its broker was ever set before. */
  hasJump(beforeMs: number): boolean {
    const { node } = this
    return this.#history.jumps.some((jump) => jump.node === node && jump.atMs <= beforeMs)
  }

  /** What was asked about this very handle before a time. */
  about(handed: Handed, beforeMs: number): Settle[] {
    return this.settles.filter((settle) => settle.handed === handed && settle.askedMs < beforeMs)
  }

  /** The earliest time at which the lease may have ended by itself, as known before `beforeMs`. */
  leaseEnd(handed: Handed, beforeMs: number): number {
    let end = handed.askedMs + handed.invisibleMs
    const unsure: number[] = []
    for (const settle of this.about(handed, beforeMs)) {
      const { verb, askedMs, answeredMs, result, invisibleMs = 0 } = settle
      if (verb !== 'extend') continue
      // One that was not answered may come to the broker later still.
      if (result === 'extended' && answeredMs <= beforeMs) end = askedMs + invisibleMs
      else unsure.push(askedMs + invisibleMs)
    }
    return Math.min(end, ...unsure)
  }

  /** Whether somebody gave the message back, or said that it failed, before. */
  mayBeGivenBack(handed: Handed, beforeMs: number): boolean {
    const isAnswered = this.about(handed, beforeMs).some(
      ({ verb }) => verb === 'release' || verb === 'nack',
    )
    return isAnswered || this.isTakenBack(handed.number, beforeMs)
  }

  isTakenBack(number: number, beforeMs: number): boolean {
    return this.takeBacks.some((taken) => taken.number === number && taken.askedMs < beforeMs)
  }
}

/** A pop that nobody answered has ended by then, however slow the network was. */
const longestPopMs = 15_000

/** One story for each message that was handed to a group. */
export function storiesOf(history: DeliveryHistory): MessageStory[] {
  const stories = new Map<string, MessageStory>()
  const resets = new Map<string, Reset[]>()
  for (const reset of history.resets) {
    const name = `${reset.group} ${reset.partition}`
    resets.set(name, [...(resets.get(name) ?? []), reset])
  }
  const storyOf = (place: DeliveredPlace): MessageStory => {
    const name = placeName(place)
    const own = resets.get(`${place.group} ${place.partition}`) ?? []
    const story = stories.get(name) ?? new MessageStory(place, history, own)
    stories.set(name, story)
    return story
  }
  for (const handed of history.handed) storyOf(handed).handed.push(handed)
  for (const settle of history.settles) storyOf(settle.handed).settles.push(settle)
  for (const taken of history.takeBacks) storyOf(taken).takeBacks.push(taken)
  for (const change of history.retryChanges) storyOf(change).retryChanges.push(change)
  return [...stories.values()]
}

/** A handle's message as it can be settled once: a retry for ever, a message until the next reset. */
export function copyName({ number, generation }: Handed): string {
  return isHeldNumber(number) ? `${number}` : `${number} of generation ${generation}`
}

/** For people. */
export function tellHanded({ consumer, attempt, number, offset, atMs }: Handed): string {
  const copy = number === offset ? '' : ` as ${number}`
  return `${consumer} at ${Math.round(atMs)} ms (attempt ${attempt}${copy})`
}
