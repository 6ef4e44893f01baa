import type { Storage } from '@popmq/kit'
import { type Checksum, type LogPosition, recordKinds, type RecordView } from '@popmq/protocol'
import { type PartitionKey } from '@popmq/protocol'
import { ConsumeQueues } from './consume-queue/index.ts'
import { DeadLetters } from './dead-letters/index.ts'
import { encodeDelivery, restoreDelivery } from './delivery/delivery-snapshot.ts'
import { Delivery } from './delivery/delivery.ts'
import { decodeReset } from './delivery/reset-record.ts'
import { Delays } from './holds/delays.ts'

/**
 * All views of a log: the consume queues, the delayed messages, the deliveries to groups, and their dead letters. Each
 * takes in every committed record, in the order of the log; what they know is their snapshots and the log after these.
 */
export class ViewSet {
  readonly queues: ConsumeQueues
  readonly delays: Delays
  readonly delivery: Delivery
  readonly letters = new DeadLetters()

  constructor({ storage, crc32 }: { readonly storage: Storage; readonly crc32: Checksum }) {
    this.queues = new ConsumeQueues({
      storage,
      crc32,
      keepers: { heldBelow: (key, low) => this.delivery.heldBelow(key, low) },
    })
    const { live } = this.queues
    this.delays = new Delays({ live })
    this.delivery = new Delivery({
      live,
      letGo: (key, at) => this.queues.letGo(key, at),
      low: (key) => this.queues.bounds(key).low,
    })
  }

  /** Begins with the sections of a checkpoint, or empty. @throws MqError `damaged_log`, `newer_format` */
  async start(sections: ReadonlyMap<string, Uint8Array>): Promise<void> {
    await this.queues.start(sections.get(names.queues))
    const delays = sections.get(names.delays)
    if (delays !== undefined) this.delays.restore(delays)
    const delivery = sections.get(names.delivery)
    if (delivery !== undefined) restoreDelivery(this.delivery, delivery)
    const letters = sections.get(names.letters)
    if (letters !== undefined) this.letters.restore(letters)
  }

  /** As `ConsumeQueues.roll`. */
  roll(base: LogPosition): void {
    this.queues.roll(base)
  }

  /** As `ConsumeQueues.prepare`: what must be loaded before these records are applied. */
  prepare(records: Iterable<RecordView>): Promise<void> | undefined {
    return this.queues.prepare(records)
  }

  /** Takes in the next committed record. @returns the partition in which a message became visible */
  apply(record: RecordView): PartitionKey | undefined {
    const key = this.queues.apply(record)
    this.delays.apply(record)
    // Nearly all records are messages, and none of the others' concern.
    if (record.kind === recordKinds.message) return key
    if (record.kind === recordKinds.reset) this.#reopen(record)
    this.delivery.apply(record)
    this.letters.apply(record)
    return key
  }

  /** Whether a held record lies at this position: what cleaning has to move. */
  pointsAt(number: number, position: LogPosition): boolean {
    return (
      this.delays.pointsAt(number, position) || this.delivery.retries.pointsAt(number, position)
    )
  }

  /** Snapshots as of `viewed`, below which everything was applied and nothing else. */
  encode(viewed: LogPosition): Map<string, Uint8Array> {
    return new Map([
      [names.queues, this.queues.encode(viewed)],
      [names.delays, this.delays.encode()],
      [names.delivery, encodeDelivery(this.delivery)],
      [names.letters, this.letters.encode()],
    ])
  }

  /** Letters that died since a reset stay what they are when it is told again. */
  #reopen(record: RecordView): void {
    const { groupId, key, to, generation } = decodeReset(record.body)
    const known = this.delivery.find(groupId, key)?.generation ?? 0
    if (generation > known) this.letters.reopen(groupId, key, to)
  }
}

/** Of the sections in a checkpoint. */
const names = {
  queues: 'consume-queues',
  delays: 'delays',
  delivery: 'delivery',
  letters: 'letters',
} as const
