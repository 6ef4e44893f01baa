import { crc32 as nativeCrc32 } from 'node:zlib'

/**
 * Where the native function begins to win. Its call and the view it needs cost about 200 ns and some garbage, whatever
 * the length; the loop below takes about 0.75 ns a byte. Most messages are short and each is summed up three times.
 */
const longBytes = 256

/**
 * CRC-32 (ISO-HDLC, as zlib's) of the bytes [start, end).
 * Short ranges: slicing (Kounavis and Berry, 2005), sixteen bytes a step through sixteen tables of 256; a quarter faster
 * than eight.
 */
export function crc32(bytes: Uint8Array, start = 0, end = bytes.length): number {
  if (end - start >= longBytes) return nativeCrc32(bytes.subarray(start, end))
  let crc = -1
  let at = start
  for (const lastStep = end - 16; at <= lastStep; at += 16) {
    crc =
      entry(15, byte(bytes, at) ^ crc) ^
      entry(14, byte(bytes, at + 1) ^ (crc >>> 8)) ^
      entry(13, byte(bytes, at + 2) ^ (crc >>> 16)) ^
      entry(12, byte(bytes, at + 3) ^ (crc >>> 24)) ^
      entry(11, byte(bytes, at + 4)) ^
      entry(10, byte(bytes, at + 5)) ^
      entry(9, byte(bytes, at + 6)) ^
      entry(8, byte(bytes, at + 7)) ^
      entry(7, byte(bytes, at + 8)) ^
      entry(6, byte(bytes, at + 9)) ^
      entry(5, byte(bytes, at + 10)) ^
      entry(4, byte(bytes, at + 11)) ^
      entry(3, byte(bytes, at + 12)) ^
      entry(2, byte(bytes, at + 13)) ^
      entry(1, byte(bytes, at + 14)) ^
      entry(0, byte(bytes, at + 15))
  }
  for (; at < end; at += 1) crc = (crc >>> 8) ^ entry(0, crc ^ byte(bytes, at))
  return ~crc >>> 0
}

/** Table t, entry b: what byte b does to the sum when t more bytes follow it in the step. */
const tables = makeTables()

function entry(table: number, index: number): number {
  return tables[table * 256 + (index & 0xff)] ?? 0
}

function byte(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0
}

function makeTables(): Int32Array {
  const reversedPolynomial = 0xedb88320
  const made = new Int32Array(16 * 256)
  for (let index = 0; index < 256; index += 1) {
    let crc = index
    for (let bit = 0; bit < 8; bit += 1)
      crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ reversedPolynomial
    made[index] = crc
  }
  for (let at = 256; at < made.length; at += 1) {
    const before = made[at - 256] ?? 0
    made[at] = (before >>> 8) ^ (made[before & 0xff] ?? 0)
  }
  return made
}
