import type { ByteReader, ByteWriter } from '../consume-queue/byte-writer.ts'

/**
 * Ascending whole numbers as runs of neighbours: what one pop takes, or one ack settles, mostly lies side by side.
 *
 *    ranges u32 | (first u64 | count u32) × ranges
 */
export function writeRanges(writer: ByteWriter, ascending: readonly number[]): void {
  const ranges: number[] = []
  for (const number of ascending) {
    const at = ranges.length - 2
    if (at >= 0 && (ranges[at] ?? 0) + (ranges[at + 1] ?? 0) === number)
      ranges[at + 1] = (ranges[at + 1] ?? 0) + 1
    else ranges.push(number, 1)
  }
  writer.u32(ranges.length / 2)
  for (let at = 0; at < ranges.length; at += 2) {
    writer.u64(ranges[at] ?? 0)
    writer.u32(ranges[at + 1] ?? 0)
  }
}

/** @returns the numbers, ascending */
export function readRanges(reader: ByteReader): number[] {
  const numbers: number[] = []
  for (let left = reader.u32(); left > 0; left -= 1) {
    const first = reader.u64()
    const count = reader.u32()
    for (let index = 0; index < count; index += 1) numbers.push(first + index)
  }
  return numbers
}
