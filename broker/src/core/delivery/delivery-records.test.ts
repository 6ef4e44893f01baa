import assert from 'node:assert/strict'
import { test } from 'node:test'
import { groupId, offset, partitionKey, partitionNumber, topicId } from '@popmq/protocol'
import fc from 'fast-check'
import { decodeLeased, encodeLeased } from './leased-record.ts'
import { decodeGroupGone, decodeReset, encodeGroupGone, encodeReset } from './reset-record.ts'
import { decodeSettled, encodeSettled } from './settled-record.ts'

const plain = { noNullPrototype: true }
const u32 = fc.nat(0xffff_ffff)
const u48 = fc.maxSafeNat().map((number) => number % 2 ** 48)
const key = fc
  .tuple(fc.integer({ min: 1, max: 0xffff_ffff }), fc.nat(1_023))
  .map(([topic, partition]) => partitionKey(topicId(topic), partitionNumber(partition)))
/** Neighbours are the rule; held numbers begin at 2^52. */
const numbers = fc
  .tuple(
    fc.constantFrom(0, 17, 2 ** 52),
    fc.array(fc.constantFrom(1, 1, 1, 2, 500), { maxLength: 40 }),
  )
  .map(([first, steps]) => {
    let at = first
    return steps.map((step) => (at += step))
  })
const group = fc.integer({ min: 1, max: 0xffff_ffff }).map(groupId)

void test('a leased record is read as it was written', () => {
  const run = fc.record(
    {
      key,
      generation: u32,
      attempt: fc.nat(0xffff),
      next: fc.nat().map(offset),
      numbers,
    },
    plain,
  )
  const record = fc.record(
    {
      groupId: group,
      nonce: u48,
      at: u48,
      until: u48,
      consumer: fc.string({ unit: 'grapheme', maxLength: 60 }),
      runs: fc.array(run, { maxLength: 8 }),
    },
    plain,
  )
  fc.assert(
    fc.property(record, (leased) => {
      assert.deepEqual(decodeLeased(encodeLeased(leased)), leased)
    }),
    { numRuns: 200 },
  )
})

void test('a settled record is read as it was written', () => {
  const runs = fc.array(fc.record({ key, generation: u32, numbers }, plain), { maxLength: 8 })
  fc.assert(
    fc.property(fc.record({ groupId: group, runs }, plain), (settled) => {
      assert.deepEqual(decodeSettled(encodeSettled(settled)), settled)
    }),
    { numRuns: 200 },
  )
})

void test('what lies side by side takes the same room, however much it is', () => {
  const sizeOf = (count: number): number => {
    const all = Array.from({ length: count }, (_, at) => at)
    const run = { key: partitionKey(topicId(1), partitionNumber(0)), generation: 0, numbers: all }
    return encodeSettled({ groupId: groupId(1), runs: [run] }).length
  }
  assert.equal(sizeOf(10_000), sizeOf(1))
})

void test('a reset, and the end of a group, are read as they were written', () => {
  const reset = fc.record(
    {
      groupId: group,
      key,
      generation: u32,
      to: fc.maxSafeNat().map(offset),
      skippedBelow: fc.maxSafeNat(),
    },
    plain,
  )
  fc.assert(
    fc.property(reset, (record) => {
      assert.deepEqual(decodeReset(encodeReset(record)), record)
      assert.equal(decodeGroupGone(encodeGroupGone(record.groupId)), record.groupId)
    }),
    { numRuns: 200 },
  )
})
