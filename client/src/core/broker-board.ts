import type { Backoff } from '@popmq/kit'
import type { TopicId } from '@popmq/protocol'

/**
 * A broker that leads partitions of the topics:
 *   ready    it may have messages: it may be popped
 *   empty    a pop brought nothing → hinted, once somebody waits
 *   hinted   a hint is left with it, answered when it has some → ready; when its wait is over → empty
 *   resting  it failed, or gave nothing although it should have: nothing is asked before `restsUntil` → ready
 * A broker that is alone stays ready: it is asked to hold the pop itself.
 */
export interface PoppedBroker {
  readonly address: string
  /** The topics of which it leads partitions, sorted. */
  readonly topics: readonly TopicId[]
  readonly state: 'ready' | 'empty' | 'hinted' | 'resting'
}

/** How a pop was answered. */
export interface PopOutcome {
  readonly count: number
  /** The broker was to hold the request for longer than it did. */
  readonly isEarly: boolean
}

interface Entry extends PoppedBroker {
  topics: readonly TopicId[]
  state: PoppedBroker['state']
  readonly backoff: Backoff
  restsUntil: number
  /** A hint said that it has some, and nothing was popped since. */
  isPromised: boolean
}

/** Decides which broker to pop next, and with which to leave a hint. */
export class BrokerBoard {
  readonly #entries = new Map<string, Entry>()
  readonly #newBackoff: () => Backoff
  /** Where the next turn begins. */
  #turn = 0

  constructor(newBackoff: () => Backoff) {
    this.#newBackoff = newBackoff
  }

  /** How many brokers lead partitions of the topics. */
  get size(): number {
    return this.#entries.size
  }

  get isAlone(): boolean {
    return this.size === 1
  }

  /** When a broker may be asked again that rests, on the monotonic clock; undefined when none rests. */
  get wakesAt(): number | undefined {
    const resting = this.#all.filter(({ state }) => state === 'resting')
    return resting.length === 0 ? undefined : Math.min(...resting.map((each) => each.restsUntil))
  }

  /** Whether a broker said lately that it has nothing: that is an answer, too. */
  get isKnownEmpty(): boolean {
    return this.#all.some(({ state }) => state === 'empty' || state === 'hinted')
  }

  get #all(): Entry[] {
    return [...this.#entries.values()]
  }

  /**
   * Takes in who leads what.
   * @returns those whose hints are void: they lead other topics now, or none
   */
  route(leaders: ReadonlyMap<string, readonly TopicId[]>): PoppedBroker[] {
    const changed: PoppedBroker[] = []
    for (const entry of this.#all) {
      const topics = leaders.get(entry.address)
      if (topics?.join() === entry.topics.join()) continue
      if (topics === undefined) this.#entries.delete(entry.address)
      else {
        entry.topics = topics
        if (entry.state !== 'resting') entry.state = 'ready'
      }
      changed.push(entry)
    }
    for (const [address, topics] of leaders) {
      if (!this.#entries.has(address)) this.#entries.set(address, this.#entry(address, topics))
    }
    return changed
  }

  /**
   * The broker to pop next, in turn.
   * @param asked those not to be taken: they were asked
   * @param isLast whether those are taken too that had nothing when they were asked last: nobody waits for their hints
   */
  next(now: number, asked: ReadonlySet<string>, isLast = false): PoppedBroker | undefined {
    const all = this.#all
    for (let step = 0; step < all.length; step += 1) {
      const index = (this.#turn + step) % all.length
      const entry = all[index]
      if (entry === undefined || asked.has(entry.address)) continue
      if (entry.state === 'resting' && entry.restsUntil <= now) entry.state = 'ready'
      if (entry.state !== 'ready' && (!isLast || entry.state === 'resting')) continue
      this.#turn = index + 1
      return entry
    }
    return undefined
  }

  /** A pop was answered. */
  popped(broker: PoppedBroker, { count, isEarly }: PopOutcome, now: number): void {
    const entry = this.#known(broker)
    if (entry === undefined) return
    const wasPromised = entry.isPromised
    entry.isPromised = false
    if (count > 0) {
      entry.backoff.reset()
      if (entry.state !== 'hinted') entry.state = 'ready'
    } else if (isEarly || wasPromised) this.#rest(entry, now)
    else if (entry.state === 'ready' && !this.isAlone) entry.state = 'empty'
  }

  /** A request failed in a way that may pass. */
  failed(broker: PoppedBroker, now: number): void {
    const entry = this.#known(broker)
    if (entry !== undefined) this.#rest(entry, now)
  }

  /** Those with which a hint is to be left: they have one from now on. */
  takeHints(): PoppedBroker[] {
    if (this.isAlone) {
      // One that is alone now needs none.
      for (const entry of this.#all) if (entry.state === 'empty') entry.state = 'ready'
      return []
    }
    const due = this.#all.filter(({ state }) => state === 'empty')
    for (const entry of due) entry.state = 'hinted'
    return due
  }

  /** A hint was answered. */
  hinted(broker: PoppedBroker, isReady: boolean): void {
    const entry = this.#known(broker)
    if (entry?.state !== 'hinted') return
    entry.state = isReady ? 'ready' : 'empty'
    entry.isPromised = isReady
  }

  #rest(entry: Entry, now: number): void {
    entry.state = 'resting'
    entry.restsUntil = now + entry.backoff.nextMs()
  }

  #known(broker: PoppedBroker): Entry | undefined {
    const entry = this.#entries.get(broker.address)
    return entry === broker ? entry : undefined
  }

  #entry(address: string, topics: readonly TopicId[]): Entry {
    const backoff = this.#newBackoff()
    return { address, topics, state: 'ready', backoff, restsUntil: 0, isPromised: false }
  }
}
