import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeFields } from './body.ts'
import { type Attempt, attemptOutcomes, decodeHistory, encodeHistory } from './history.ts'
import { limits } from './limits.ts'

const text = fc.string({ unit: 'grapheme', maxLength: 30 })
const optionalError = fc.record(
  { type: text, message: text, stack: text },
  { requiredKeys: [], noNullPrototype: true },
)
const attempts: fc.Arbitrary<Attempt[]> = fc.array(
  fc.record(
    {
      n: fc.integer({ min: 1, max: 1_000 }),
      at: fc.maxSafeNat(),
      consumer: text,
      heldMs: fc.maxSafeNat(),
      outcome: fc.constantFrom(...attemptOutcomes),
      fingerprint: fc.constant('00c0ffee00aa'),
      error: optionalError,
    },
    { requiredKeys: ['n', 'at', 'heldMs', 'outcome'], noNullPrototype: true },
  ),
  { maxLength: 20 },
)

/** Failures as long as they may be. */
const failures = (count: number): Attempt[] =>
  Array.from({ length: count }, (_, index) => ({
    n: index + 1,
    at: 1_767_225_600_000 + index,
    consumer: 'c'.repeat(limits.errorTypeBytes),
    heldMs: 30_000,
    outcome: 'nack',
    fingerprint: '00c0ffee00aa',
    error: {
      type: 'E'.repeat(limits.errorTypeBytes),
      message: 'm'.repeat(limits.errorBytes),
      stack: 's'.repeat(limits.errorBytes),
    },
  }))

void test('a history tells every failed delivery, the first and the last whole', () => {
  fc.assert(
    fc.property(attempts, (all) => {
      const told = all.map(({ error, ...times }, index) => {
        const isWhole = index === 0 || index === all.length - 1
        return isWhole && error !== undefined ? { ...times, error } : times
      })
      assert.deepEqual(decodeHistory(encodeHistory(all)), told)
    }),
  )
})

void test('a history of however many failures fits, and keeps the first and the newest', () => {
  for (const count of [1, 2, 3, 500, 1_000]) {
    const all = failures(count)
    const bytes = encodeHistory(all)
    assert.ok(bytes.length <= limits.historyBytes, `${count} failures take ${bytes.length} bytes`)
    const told = decodeHistory(bytes)
    assert.deepEqual(told.at(0), all.at(0))
    assert.deepEqual(told.at(-1), all.at(-1))
    const newest = told.slice(1).map(({ n }) => n)
    assert.deepEqual(
      newest,
      all.slice(count - newest.length).map(({ n }) => n),
      'what lies between is of the newest, without a gap',
    )
    assert.ok(newest.length >= Math.min(count - 1, 300))
  }
})

void test('bytes that are no history are refused', () => {
  const good = encodeHistory(failures(1))
  const bad = [
    new Uint8Array(0),
    good.slice(0, -1),
    Uint8Array.from([...good, 0]),
    encodeFields({}),
    encodeFields({ attempts: [{ n: 0, at: 0, heldMs: 0, outcome: 'nack' }] }),
    encodeFields({ attempts: [{ n: 1, at: 0, heldMs: 0, outcome: 'released' }] }),
  ]
  for (const bytes of bad) assert.throws(() => decodeHistory(bytes), { name: 'corrupt_record' })
})

void test('any bytes are a history or are refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try {
        assert.ok(Array.isArray(decodeHistory(bytes)))
      } catch (error) {
        assert.equal((error as Error).name, 'corrupt_record')
      }
    }),
  )
})
