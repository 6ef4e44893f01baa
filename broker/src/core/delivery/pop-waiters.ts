import type { TopicId } from '@popmq/protocol'

interface Waiter {
  readonly topics: ReadonlySet<TopicId>
  readonly retriesOnly: boolean
  /** Whether it may take anything: who is at a limit lets others go first. */
  readonly hasRoom: () => boolean
  readonly wake: () => void
}

/** Held pops and hints of one group, the oldest in front. Who is woken looks for himself, and wakes the next. */
export class PopWaiters {
  readonly #waiting = new Set<Waiter>()

  get size(): number {
    return this.#waiting.size
  }

  /** Calls `wake` at most once. @returns lets go of it without waking */
  hold(waiter: Waiter): () => void {
    this.#waiting.add(waiter)
    return () => void this.#waiting.delete(waiter)
  }

  /** Something of the topic can be handed out: wakes the first who wants it. */
  wakeOne(topic: TopicId, isRetry: boolean): void {
    for (const waiter of this.#waiting) {
      if (!waiter.topics.has(topic) || (waiter.retriesOnly && !isRetry)) continue
      if (!waiter.hasRoom()) continue
      this.#waiting.delete(waiter)
      waiter.wake()
      return
    }
  }

  wakeAll(): void {
    const woken = [...this.#waiting]
    this.#waiting.clear()
    for (const { wake } of woken) wake()
  }
}
