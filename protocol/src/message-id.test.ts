import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '@popmq/kit/testing'
import fc from 'fast-check'
import { bornAt, formatMessageId, MessageIds } from './message-id.ts'

const uuidV7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

void test('ids are UUIDv7 that grow, whatever the wall clock does', () => {
  fc.assert(
    fc.property(
      fc.integer(),
      fc.array(fc.integer({ min: 0, max: 2 ** 44 }), { minLength: 1 }),
      (seed, times) => {
        const ids = new MessageIds(new SeededRandom(seed))
        const made = times.map((nowMs) => formatMessageId(ids.next(nowMs)))
        assert.deepEqual(made, made.toSorted())
        assert.equal(new Set(made).size, made.length)
        for (const id of made) assert.match(id, uuidV7)
      },
    ),
  )
})

void test('an id tells when it was born, to 48 bits of ms', () => {
  for (const nowMs of [1, Date.UTC(2026, 0, 1), 2 ** 32 - 1, 2 ** 32, 2 ** 48 - 1]) {
    assert.equal(bornAt(new MessageIds(new SeededRandom(1)).next(nowMs)), nowMs)
  }
})

void test('ids go on growing when one ms gives more than 4,096', () => {
  const ids = new MessageIds(new SeededRandom(1))
  let last = ''
  for (let count = 0; count < 10_000; count += 1) {
    const id = formatMessageId(ids.next(1_000))
    assert.ok(id > last)
    last = id
  }
  assert.match(last, uuidV7)
})
