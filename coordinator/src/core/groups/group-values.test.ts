import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isMqError } from '@popmq/protocol'
import { countersValue } from '../registry-values.ts'
import {
  decodeGrants,
  decodeProgress,
  encodeGrants,
  encodeProgress,
  nodeName,
  readingOfNode,
} from './group-values.ts'

const node = (value: Uint8Array) => ({ value, version: 1, ephemeral: false })
const plain = { noNullPrototype: true }
const runs = { numRuns: 200 }
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const unreadable = (error: unknown): boolean =>
  isMqError(error, 'data_directory_invalid') && error.message.includes('/x')

void test('grants and progress come back as they were written', () => {
  const grants = fc.array(fc.record({ epoch: u32, member: u32 }, plain), { maxLength: 1_024 })
  fc.assert(
    fc.property(grants, (rows) => {
      assert.deepEqual(decodeGrants('/x', node(encodeGrants(rows))), rows)
    }),
    runs,
  )
  const progress = fc.array(fc.record({ offset: fc.maxSafeNat(), epoch: u32 }, plain), {
    maxLength: 1_024,
  })
  fc.assert(
    fc.property(progress, (rows) => {
      assert.deepEqual(decodeProgress('/x', node(encodeProgress(rows))), rows)
    }),
    runs,
  )
})

void test('a changed byte of progress is noticed, wherever it is', () => {
  const value = encodeProgress([
    { offset: 7, epoch: 1 },
    { offset: 2 ** 40, epoch: 3 },
  ])
  for (let at = 0; at < value.length; at += 1) {
    if (at === 2 || at === 3) continue
    const changed = value.slice()
    changed[at] = (changed[at] ?? 0) ^ 0x10
    assert.throws(() => decodeProgress('/x', node(changed)), unreadable, `byte ${at}`)
  }
  assert.throws(() => decodeProgress('/x', node(value.slice(0, -1))), unreadable)
  assert.throws(() => decodeProgress('/x', node(new Uint8Array(0))), unreadable)
  assert.throws(() => decodeGrants('/x', node(new Uint8Array(9))), unreadable)
})

void test('a reading is named by its topic, and by its static member in broadcast', () => {
  for (const name of ['7', '7.one', '7.a.b-c_d']) {
    assert.equal(nodeName(readingOfNode(`/progress/3/${name}`)), name)
  }
  assert.throws(() => readingOfNode('/x/one'), unreadable)
})

void test('counters of an earlier version have given no group', () => {
  const before = { leader: 1, write: 1, topicId: 2, setId: 1, epoch: 3, producerId: 0, version: 2 }
  assert.equal(countersValue(before, '').groupId, 0)
})
