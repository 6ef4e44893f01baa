import { assert } from '@popmq/kit'
import {
  firstHeldNumber,
  heldKey,
  isHeld,
  isQueued,
  limits,
  marks,
  offset,
  type Offset,
  type PartitionKey,
  partitionKey,
  partitionNumber,
  type RecordView,
  recordKinds,
  type TopicId,
} from '@popmq/protocol'
import type { Sequencer } from './sequencer.ts'
import { SnapshotReader, SnapshotWriter } from './snapshot-bytes.ts'

/**
 * The offset that the next message of each partition gets: dense, from 0. It never goes back, so that no offset names
 * two messages; a record that cleaning moved keeps its offset and changes nothing. Held records are counted likewise,
 * all together, under `heldKey`: their numbers begin at `firstHeldNumber`.
 *
 * Snapshot: version u8 | partitions u32 | (partition key u48 | next offset u64) × partitions, keys ascending.
 * Partitions still at 0 are not in it. About 50 bytes of memory and 14 of snapshot a partition.
 */
export class NextOffsets implements Sequencer {
  #next = new Map<PartitionKey, number>()

  /** The offset of the next message; 0 for a partition without any, `firstHeldNumber` for the first held record. */
  next(key: PartitionKey): Offset {
    return offset(this.#next.get(key) ?? (key === heldKey ? firstHeldNumber : 0))
  }

  /** Hands out `count` offsets, 1 or more. @returns the first of them */
  take(key: PartitionKey, count: number): Offset {
    assert(Number.isInteger(count) && count > 0, 'offsets are taken one or more at a time')
    const base = this.next(key)
    this.raise(key, offset(base + count))
    return base
  }

  /** Makes the next offset at least `least`. */
  raise(key: PartitionKey, least: Offset): void {
    if (least > this.next(key)) this.#next.set(key, least)
  }

  /** Every partition that has had a message, in no promised order; the count of held records is none of them. */
  *partitions(): IterableIterator<{ readonly key: PartitionKey; readonly next: Offset }> {
    for (const [key, next] of this.#next) if (key !== heldKey) yield { key, next: offset(next) }
  }

  observe(record: RecordView): void {
    // The record it is a copy of was seen before: a moved one may even stand behind the end of its topic.
    if ((record.marks & marks.moved) !== 0) return
    if (isQueued(record.kind)) {
      this.raise(partitionKey(record.topicId, record.partition), offset(record.offset + 1))
    } else if (isHeld(record.kind)) {
      this.raise(heldKey, offset(record.offset + 1))
    } else if (record.kind === recordKinds.topic_gone) {
      this.forgetTopic(record.topicId)
    }
  }

  forgetTopic(topicId: TopicId): void {
    for (let partition = 0; partition < limits.partitionsPerTopic; partition += 1) {
      this.#next.delete(partitionKey(topicId, partitionNumber(partition)))
    }
  }

  clear(): void {
    this.#next = new Map()
  }

  encode(): Uint8Array {
    const writer = new SnapshotWriter(fixedBytes + this.#next.size * entryBytes, version)
    writer.u32(this.#next.size)
    for (const key of Float64Array.from(this.#next.keys()).sort()) {
      writer.u48(key)
      writer.u64(this.next(key as PartitionKey))
    }
    return writer.finish()
  }

  restore(bytes: Uint8Array): void {
    const reader = new SnapshotReader(bytes, version)
    const size = reader.u32()
    assert(bytes.length === fixedBytes + size * entryBytes, 'a snapshot holds as many as it says')
    const next = new Map<PartitionKey, number>()
    let last = -1
    for (let index = 0; index < size; index += 1) {
      const key = reader.u48()
      assert(key > last, 'the partitions of a snapshot ascend')
      last = key
      next.set(key as PartitionKey, reader.u64())
    }
    reader.finish()
    this.#next = next
  }
}

const version = 1
const fixedBytes = 1 + 4
const entryBytes = 6 + 8
