import type { GroupPolicy, PopReason } from '@popmq/protocol'

/** How many messages a group has handed out here, and to whom. */
export class InFlight {
  #total = 0
  readonly #byConsumer = new Map<string, number>()

  get total(): number {
    return this.#total
  }

  clear(): void {
    this.#total = 0
    this.#byConsumer.clear()
  }

  count(consumer: string, by: number): void {
    this.#total += by
    const held = (this.#byConsumer.get(consumer) ?? 0) + by
    if (held === 0) this.#byConsumer.delete(consumer)
    else this.#byConsumer.set(consumer, held)
  }

  /**
   * How many more the consumer may get. A limit is for the whole group: each of the `sets` that hold its topics hands out
   * an equal share, at least one message.
   */
  room(
    consumer: string,
    { policy, sets }: { readonly policy: GroupPolicy; readonly sets: number },
  ): { readonly left: number; readonly reason?: PopReason } {
    const { maxInFlight, maxInFlightPerConsumer } = policy
    const ofGroup = shareOf(
      Math.min(maxInFlight === 0 ? mostInFlight : maxInFlight, mostInFlight),
      sets,
    )
    const left = ofGroup - this.#total
    const held = this.#byConsumer.get(consumer) ?? 0
    const own = maxInFlightPerConsumer === 0 ? left : shareOf(maxInFlightPerConsumer, sets) - held
    if (left <= 0) return { left: 0, reason: 'in_flight_limit' }
    if (own <= 0) return { left: 0, reason: 'consumer_in_flight_limit' }
    return { left: Math.min(left, own) }
  }
}

/** However many a policy allows: what is handed out costs memory. */
const mostInFlight = 1_000_000

function shareOf(limit: number, sets: number): number {
  return Math.max(1, Math.floor(limit / sets))
}
