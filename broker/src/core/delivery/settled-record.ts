import { type GroupId, groupId, type PartitionKey } from '@popmq/protocol'
import { ByteReader, ByteWriter } from '../consume-queue/byte-writer.ts'
import { readRanges, writeRanges } from './ranges.ts'

/**
 * The body of a `settled` record: what one request acknowledged.
 *
 *    group id u32 | runs u32 | runs
 *    run: partition key u48 | generation u32 | ranges, see `writeRanges`
 */
export interface SettledRecord {
  readonly groupId: GroupId
  readonly runs: readonly SettledRun[]
}

export interface SettledRun {
  readonly key: PartitionKey
  readonly generation: number
  /** Ascending: offsets of the partition, or held numbers of retries that come from it. */
  readonly numbers: readonly number[]
}

export function encodeSettled({ groupId: group, runs }: SettledRecord): Uint8Array {
  const writer = new ByteWriter(16 + runs.length * 32)
  writer.u32(group)
  writer.u32(runs.length)
  for (const { key, generation, numbers } of runs) {
    writer.u48(key)
    writer.u32(generation)
    writeRanges(writer, numbers)
  }
  return writer.written
}

export function decodeSettled(body: Uint8Array): SettledRecord {
  const reader = new ByteReader(body)
  const group = groupId(reader.u32())
  const runs: SettledRun[] = []
  for (let left = reader.u32(); left > 0; left -= 1) {
    const key = reader.u48() as PartitionKey
    runs.push({ key, generation: reader.u32(), numbers: readRanges(reader) })
  }
  return { groupId: group, runs }
}
