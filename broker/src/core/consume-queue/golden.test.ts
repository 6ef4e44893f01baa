import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from '@popmq/kit/checksum'
import { logPosition, offset, partitionKey, partitionNumber, topicId } from '@popmq/protocol'
import fc from 'fast-check'
import { ByteWriter } from './byte-writer.ts'
import { entryBytes, EntryView, writeEntry } from './entry.ts'
import { golden, hexOf } from './golden.ts'
import { decodeHorizon, encodeHorizon, mostHorizons } from './horizon.ts'
import { decodeTable, encodeTable, readRows, writeRows } from './index-table.ts'
import { Page, pageBytes, readPage } from './page.ts'
import { decodeSnapshot, encodeSnapshot, type Snapshot } from './snapshot.ts'

const key = partitionKey(topicId(3), partitionNumber(5))
const appendedAt = Date.UTC(2026, 0, 1)
const source = {
  position: logPosition(4_096),
  length: 138,
  flags: 0x1e2,
  kind: 1,
  attempt: 0,
  tagHash: 0x0600b2ce,
  keyHash: 0x20164e71,
  appendedAt,
}
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** A full page, number 7, in which only the first entry says something. */
function samplePage(): Page {
  const page = new Page(key, 7)
  page.put(0, source)
  const nothing = { ...source, position: logPosition(0), length: 0, flags: 0, kind: 0 }
  page.put(126, { ...nothing, tagHash: 0, keyHash: 0, appendedAt: 0 })
  page.freeze(crc32)
  return page
}

function sampleTable(): Uint8Array {
  const rows = new ByteWriter()
  const live = [
    { base: logPosition(0), bytes: 138 },
    { base: logPosition(2 ** 30), bytes: 1_000 },
  ]
  writeRows(rows, 0, { key, number: 7, firstTime: appendedAt, live })
  return encodeTable({ base: logPosition(2 ** 30), slots: 1 }, rows.written, crc32)
}

void test('the golden entry is what is written and read', () => {
  const bytes = new Uint8Array(entryBytes)
  writeEntry(new DataView(bytes.buffer), 0, source)
  assert.equal(hex(bytes), hexOf(golden.entry))
  const {
    position,
    size,
    flags,
    kind,
    attempt,
    tagHash,
    keyHash,
    appendedAt: time,
  } = new EntryView().move(bytes, 0)
  const read = { position, length: size, flags, kind, attempt, tagHash, keyHash, appendedAt: time }
  assert.deepEqual(read, source)
})

void test('the golden page is what is written and read', () => {
  const page = samplePage()
  assert.equal(page.bytes.length, pageBytes)
  assert.ok(hex(page.bytes) === hexOf(golden.page), hex(page.bytes.subarray(0, 64)))
  const read = readPage(page.bytes.slice(), { key, number: 7 }, crc32)
  assert.equal(read?.positionAt(0), 4_096)
  assert.equal(read?.frozen, true)
})

void test('the golden table is what is written and read', () => {
  const table = sampleTable()
  assert.equal(hex(table), hexOf(golden.table))
  const rows =
    decodeTable({ base: logPosition(2 ** 30), slots: 1 }, table, crc32) ?? new Uint8Array(0)
  const page = { slot: 0, key, number: 7, firstTime: appendedAt }
  assert.deepEqual(
    [...readRows(rows)],
    [
      { ...page, base: 0, bytes: 138 },
      { ...page, base: 2 ** 30, bytes: 1_000 },
    ],
  )
})

void test('the golden section is what is written and read', () => {
  const entries = new Uint8Array(2 * entryBytes)
  writeEntry(new DataView(entries.buffer), entryBytes, source)
  const { length: size, ...entry } = source
  const snapshot: Snapshot = {
    viewed: logPosition(8_192),
    segments: [{ base: logPosition(0), bytes: 276 }],
    files: [],
    partitions: [
      {
        key,
        low: offset(1),
        high: offset(2),
        keptBytes: 138,
        lowLive: [],
        entries,
        kept: [{ offset: offset(0), entry: { ...entry, size } }],
      },
    ],
    pages: [],
  }
  const bytes = encodeSnapshot(snapshot)
  assert.equal(hex(bytes), hexOf(golden.section))
  assert.deepEqual(decodeSnapshot(bytes.slice()), snapshot)
})

void test('the golden horizon is what is written and read', () => {
  const horizons = [{ key, low: offset(1_000) }]
  assert.equal(hex(encodeHorizon(horizons)), hexOf(golden.horizon))
  assert.deepEqual(decodeHorizon(encodeHorizon(horizons)), horizons)
})

void test('a horizon of another length, or of too many partitions, is refused', () => {
  assert.throws(() => decodeHorizon(new Uint8Array(17)), { name: 'corrupt_record' })
  assert.throws(() => decodeHorizon(new Uint8Array(16 * (mostHorizons + 1))), {
    name: 'corrupt_record',
  })
  const horizons = Array.from({ length: mostHorizons + 1 }, () => ({ key, low: offset(1) }))
  assert.throws(() => encodeHorizon(horizons), { name: 'invalid_request' })
})

void test('a flipped bit anywhere in a page or a table shows', () => {
  const flipped = (bytes: Uint8Array, bit: number): Uint8Array => {
    const copy = bytes.slice()
    copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    return copy
  }
  const page = samplePage().bytes
  const table = sampleTable()
  fc.assert(
    fc.property(fc.nat(page.length * 8 - 1), (bit) => {
      assert.equal(readPage(flipped(page, bit), { key, number: 7 }, crc32), undefined)
    }),
    { numRuns: 1_000 },
  )
  for (let bit = 0; bit < table.length * 8; bit += 1) {
    assert.equal(
      decodeTable({ base: logPosition(2 ** 30), slots: 1 }, flipped(table, bit), crc32),
      undefined,
    )
  }
})

void test('a page or a table in the place of another is not taken for it', () => {
  const { bytes } = samplePage()
  const elsewhere = partitionKey(topicId(3), partitionNumber(6))
  assert.equal(readPage(bytes, { key, number: 8 }, crc32), undefined)
  assert.equal(readPage(bytes, { key: elsewhere, number: 7 }, crc32), undefined)
  assert.equal(readPage(bytes.subarray(0, 4_000), { key, number: 7 }, crc32), undefined)
  assert.equal(decodeTable({ base: logPosition(0), slots: 1 }, sampleTable(), crc32), undefined)
  assert.equal(
    decodeTable({ base: logPosition(2 ** 30), slots: 2 }, sampleTable(), crc32),
    undefined,
  )
})
