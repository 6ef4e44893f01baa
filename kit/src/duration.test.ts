import assert from 'node:assert/strict'
import { test } from 'node:test'
import { msOf } from './duration.ts'

void test('a time is a whole number with its unit', () => {
  const times = ['200ms', '5s', '2m', '72h', '14d', '0ms'].map(msOf)
  assert.deepEqual(times, [200, 5_000, 120_000, 259_200_000, 1_209_600_000, 0])
  for (const text of ['', '5', '5 s', '1.5h', '-1s', '5w', 's', '1e3ms'])
    assert.equal(msOf(text), Number.NaN, text)
})
