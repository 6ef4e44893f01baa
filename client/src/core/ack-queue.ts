/**
 * What waits to be acked, by broker: one request is under way to each, and what is done meanwhile shares the next.
 *   idle    nothing is under way → busy, with all that waits
 *   busy    a request is under way → idle once it is answered
 */
export class AckQueue<T> {
  readonly #brokers = new Map<string, { waiting: T[]; isBusy: boolean }>()

  add(address: string, item: T): void {
    const broker = this.#brokers.get(address) ?? { waiting: [], isBusy: false }
    this.#brokers.set(address, broker)
    broker.waiting.push(item)
  }

  /** What is to be sent to a broker now, which is busy from now on. @returns `[]` when it is busy or nothing waits */
  take(address: string): T[] {
    const broker = this.#brokers.get(address)
    if (broker === undefined || broker.isBusy || broker.waiting.length === 0) return []
    const taken = broker.waiting
    broker.waiting = []
    broker.isBusy = true
    return taken
  }

  /** The request to a broker was answered. */
  done(address: string): void {
    const broker = this.#brokers.get(address)
    if (broker === undefined) return
    broker.isBusy = false
    if (broker.waiting.length === 0) this.#brokers.delete(address)
  }
}
