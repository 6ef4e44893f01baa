import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { groupId, offset, partitionNumber, topicId } from './numbers.ts'
import {
  type CopyCause,
  copyCauses,
  decodeSource,
  encodeSource,
  formatFingerprint,
  parseFingerprint,
  type RecordSource,
  sourceBytes,
} from './record-source.ts'

const u16 = fc.nat(0xffff)
const u32 = fc.nat(0xffff_ffff)
const u48 = fc.nat(2 ** 48 - 1)
const u53 = fc.maxSafeNat()
const sources: fc.Arbitrary<RecordSource> = fc.record(
  {
    cause: fc.constantFrom(...(Object.keys(copyCauses) as CopyCause[])),
    attempts: u16,
    groupId: u32.map(groupId),
    topicId: u32.map(topicId),
    partition: u16.map(partitionNumber),
    expiries: u16,
    settles: u53,
    offset: u53.map(offset),
    firstAppendedAt: u48,
    fingerprint: u48,
    generation: u32,
    at: u48,
  },
  { noNullPrototype: true },
)

void test('a source gives back what it was made of', () => {
  fc.assert(
    fc.property(sources, (source) => {
      const bytes = encodeSource(source)
      assert.equal(bytes.length, sourceBytes)
      assert.deepEqual(decodeSource(bytes), source)
    }),
  )
})

void test('more deliveries than 16 bits count are written as the most', () => {
  const [source] = fc.sample(sources, 1)
  assert.ok(source !== undefined)
  const { attempts, expiries } = decodeSource(
    encodeSource({ ...source, attempts: 70_000, expiries: 65_536 }),
  )
  assert.deepEqual([attempts, expiries], [65_535, 65_535])
})

void test('bytes of another length, version or cause are no source', () => {
  const [source] = fc.sample(sources, 1)
  assert.ok(source !== undefined)
  const bytes = encodeSource(source)
  const changed = (at: number, value: number): Uint8Array => bytes.with(at, value)
  for (const bad of [
    new Uint8Array(0),
    bytes.slice(0, 55),
    Uint8Array.from([...bytes, 0]),
    changed(0, 2),
    changed(1, 0),
    changed(1, 6),
  ])
    assert.throws(() => decodeSource(bad), { name: 'corrupt_record' })
})

void test('a fingerprint is twelve hexadecimal digits to people', () => {
  fc.assert(
    fc.property(u48, (fingerprint) => {
      const text = formatFingerprint(fingerprint)
      assert.match(text, /^[0-9a-f]{12}$/)
      assert.equal(parseFingerprint(text), fingerprint)
    }),
  )
  for (const text of ['', 'abc', '0123456789AB', '0123456789abc', '0x1234567890'])
    assert.equal(parseFingerprint(text), undefined, text)
})
