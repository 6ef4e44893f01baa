import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CorrelationIds } from './correlation-ids.ts'

void test('ids count up, wrap at 2^32, and leave out 0 and those in use', () => {
  const ids = new CorrelationIds(2 ** 32 - 2)
  const inUse = new Set([1, 2, 4])
  const taken = Array.from({ length: 5 }, () => ids.take((id) => inUse.has(id)))
  assert.deepEqual(taken, [2 ** 32 - 2, 2 ** 32 - 1, 3, 5, 6])
})
