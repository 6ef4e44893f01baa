import { present } from '@popmq/kit'
import {
  flags,
  type GroupId,
  type LogPosition,
  type Offset,
  partitionKey,
  type PartitionKey,
  readU48,
  type RecordView,
  sectionOf,
  sourceOf,
  type TimeMs,
} from '@popmq/protocol'
import type { LiveBytes } from '../consume-queue/live-bytes.ts'
import type { HoldChange } from '../holds/hold-change.ts'
import { earlierThan, type Lease } from './lease.ts'
import type { LeasedRecord, LeasedRun } from './leased-record.ts'

/** A copy of a failed message, waiting for its next delivery, or handed out. */
export interface Retry {
  readonly number: number
  readonly groupId: GroupId
  /** Where the message was first. */
  readonly key: PartitionKey
  readonly offset: Offset
  readonly firstAppendedAt: TimeMs
  /** Deliveries before this copy, and how many of them ended without an answer. */
  readonly attempts: number
  readonly expiries: number
  readonly fingerprint: number
  readonly generation: number
  readonly bytes: number
  position: LogPosition
  dueAt: TimeMs
  lease: Lease | undefined
}

/**
 * The retries of all groups on this replica set, as far as committed records tell. A copy stays where it was appended
 * until it is settled, or another copy takes its place; it is handed out from there.
 *
 *     waiting ──due──▶ due ──leased──▶ leased ──settled, copied again──▶ gone
 *     leased ──given back, expired──▶ due
 *
 * Memory: about 250 bytes each.
 */
export class Retries {
  readonly #live: Pick<LiveBytes, 'add' | 'numberAt'>
  readonly #byNumber = new Map<number, Retry>()
  readonly #byGroup = new Map<GroupId, Set<Retry>>()

  constructor(live: Pick<LiveBytes, 'add' | 'numberAt'>) {
    this.#live = live
  }

  get size(): number {
    return this.#byNumber.size
  }

  get(number: number): Retry | undefined {
    return this.#byNumber.get(number)
  }

  /** Those of a group, by number. */
  of(group: GroupId): Iterable<Retry> {
    return this.#byGroup.get(group) ?? []
  }

  all(): Iterable<Retry> {
    return this.#byNumber.values()
  }

  /** Whether a copy lies at this position. */
  pointsAt(number: number, position: LogPosition): boolean {
    return this.#byNumber.get(number)?.position === position
  }

  /** Takes in a copy that was appended. */
  add(record: RecordView): Retry {
    const from = present(sourceOf(record), 'a retry names its source')
    const due = present(sectionOf(record, flags.deliverAt), 'a retry has a time')
    const retry: Retry = {
      number: record.offset,
      groupId: from.groupId,
      key: partitionKey(from.topicId, from.partition),
      offset: from.offset,
      firstAppendedAt: from.firstAppendedAt,
      attempts: from.attempts,
      expiries: from.expiries,
      fingerprint: from.fingerprint,
      generation: from.generation,
      bytes: record.length,
      position: record.position,
      dueAt: readU48(new DataView(due.buffer, due.byteOffset), 0),
      lease: undefined,
    }
    this.restore(retry)
    this.#live.add(this.#live.numberAt(retry.position), retry.bytes)
    return retry
  }

  /** Takes in one of a snapshot: its bytes are counted already. */
  restore(retry: Retry): void {
    this.#byNumber.set(retry.number, retry)
    const group = this.#byGroup.get(retry.groupId)
    if (group === undefined) this.#byGroup.set(retry.groupId, new Set([retry]))
    else group.add(retry)
  }

  /** Cleaning appended the copy again. */
  move({ offset, position }: RecordView): void {
    const retry = this.#byNumber.get(offset)
    if (retry === undefined) return
    this.#live.add(this.#live.numberAt(retry.position), -retry.bytes)
    retry.position = position
    this.#live.add(this.#live.numberAt(position), retry.bytes)
  }

  change({ number, dueAt }: HoldChange): void {
    const retry = this.#byNumber.get(number)
    if (retry === undefined) return
    if (dueAt === undefined) this.remove(number)
    else retry.dueAt = dueAt
  }

  lease({ numbers, attempt }: LeasedRun, { nonce, at, until, consumer }: LeasedRecord): void {
    for (const number of numbers) {
      const retry = this.#byNumber.get(number)
      if (retry === undefined) continue
      const { lease: before } = retry
      const earlier = before === undefined ? [] : earlierThan(before, { nonce, at, attempt })
      retry.lease = { nonce, at, until, attempt, consumer, earlier }
    }
  }

  /** The copy is done with. */
  remove(number: number): void {
    const retry = this.#byNumber.get(number)
    if (retry === undefined) return
    this.#live.add(this.#live.numberAt(retry.position), -retry.bytes)
    this.#byNumber.delete(number)
    const group = this.#byGroup.get(retry.groupId)
    group?.delete(retry)
    if (group?.size === 0) this.#byGroup.delete(retry.groupId)
  }

  /** A group goes on at `to`: the copies of what it will be handed again are void. */
  reset(group: GroupId, key: PartitionKey, to: Offset): void {
    for (const retry of [...this.of(group)])
      if (retry.key === key && retry.offset >= to) this.remove(retry.number)
  }

  forget(isGone: (retry: Retry) => boolean): void {
    for (const retry of [...this.#byNumber.values()]) if (isGone(retry)) this.remove(retry.number)
  }
}
