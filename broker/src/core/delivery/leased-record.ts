import {
  type GroupId,
  groupId,
  type Offset,
  offset,
  type PartitionKey,
  type TimeMs,
} from '@popmq/protocol'
import { ByteReader, ByteWriter } from '../consume-queue/byte-writer.ts'
import { readRanges, writeRanges } from './ranges.ts'

/**
 * The body of a `leased` record: what one request handed out, extended or gave back.
 *
 *    group id u32 | nonce u48 | at u48 | until u48 | consumer: length u16, UTF-8 | runs u32 | runs
 *    run: partition key u48 | generation u32 | attempt u16 | kept u16 | next u64 | ranges, see `writeRanges`
 *
 * With a nonce that a message has already it is an extension; with nonce 0 it gives back, and `attempt` is what counts so
 * far. `next`: below it every offset that is not named was passed by; 0 for held numbers and where nothing was passed.
 */
export interface LeasedRecord {
  readonly groupId: GroupId
  readonly nonce: number
  readonly at: TimeMs
  readonly until: TimeMs
  readonly consumer: string
  readonly runs: readonly LeasedRun[]
}

export interface LeasedRun {
  readonly key: PartitionKey
  readonly generation: number
  readonly attempt: number
  readonly next: Offset
  /** Ascending: offsets of the partition, or held numbers of retries that come from it. */
  readonly numbers: readonly number[]
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function encodeLeased(record: LeasedRecord): Uint8Array {
  const writer = new ByteWriter(64 + record.runs.length * 48)
  writer.u32(record.groupId)
  for (const time of [record.nonce, record.at, record.until]) writer.u48(time)
  const consumer = encoder.encode(record.consumer)
  writer.u16(consumer.length)
  writer.bytes(consumer)
  writer.u32(record.runs.length)
  for (const { key, generation, attempt, next, numbers } of record.runs) {
    writer.u48(key)
    writer.u32(generation)
    writer.u16(attempt)
    writer.u16(0)
    writer.u64(next)
    writeRanges(writer, numbers)
  }
  return writer.written
}

export function decodeLeased(body: Uint8Array): LeasedRecord {
  const reader = new ByteReader(body)
  const head = {
    groupId: groupId(reader.u32()),
    nonce: reader.u48(),
    at: reader.u48(),
    until: reader.u48(),
    consumer: decoder.decode(reader.bytes(reader.u16())),
  }
  const runs: LeasedRun[] = []
  for (let left = reader.u32(); left > 0; left -= 1) {
    const key = reader.u48() as PartitionKey
    const [generation, attempt] = [reader.u32(), reader.u16()]
    reader.u16()
    runs.push({ key, generation, attempt, next: offset(reader.u64()), numbers: readRanges(reader) })
  }
  return { ...head, runs }
}
