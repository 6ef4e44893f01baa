import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '@popmq/kit/testing'
import fc from 'fast-check'
import { bornAt, formatMessageId, MessageIds } from './message-id.ts'

const pattern = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

void test('ids are UUIDs of version 7, grow however the clock jumps, and carry their ms', () => {
  const times = fc.array(fc.tuple(fc.nat(2 ** 43), fc.nat(40)), { minLength: 1, maxLength: 30 })
  fc.assert(
    fc.property(times, fc.nat(), (draws, seed) => {
      const maker = new MessageIds(new SeededRandom(seed))
      let last = ''
      let latestMs = 0
      for (const [nowMs, count] of draws) {
        const ids = maker.take(count, nowMs)
        if (count > 0) latestMs = Math.max(latestMs, nowMs)
        for (let start = 0; start < ids.length; start += 16) {
          const bytes = ids.subarray(start, start + 16)
          const id = formatMessageId(bytes)
          assert.match(id, pattern)
          assert.ok(id > last, `${id} comes after ${last}`)
          assert.equal(bornAt(bytes), latestMs)
          last = id
        }
      }
    }),
  )
})

void test('more ids than the counter holds run ahead of the clock and still grow', () => {
  const maker = new MessageIds(new SeededRandom(1))
  const ids = maker.take(10_000, 1_000)
  const born = [0, 4_095, 4_096, 9_999].map((at) => bornAt(ids.subarray(at * 16, at * 16 + 16)))
  assert.deepEqual(born, [1_000, 1_000, 1_001, 1_002])
  assert.equal(bornAt(maker.take(1, 1_001)), 1_002)
})

void test('random bytes are not used twice', () => {
  const ids = new MessageIds(new SeededRandom(1)).take(5_000, 1)
  const tails = new Set<string>()
  for (let start = 0; start < ids.length; start += 16) {
    tails.add(ids.subarray(start + 9, start + 16).join())
  }
  assert.equal(tails.size, 5_000)
})

void test('an id tells when it was born, to 48 bits of ms', () => {
  for (const nowMs of [1, Date.UTC(2026, 0, 1), 2 ** 32 - 1, 2 ** 32, 2 ** 48 - 1]) {
    assert.equal(bornAt(new MessageIds(new SeededRandom(1)).next(nowMs)), nowMs)
  }
})
