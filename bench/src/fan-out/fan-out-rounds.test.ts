import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dealt } from './fan-out-rounds.ts'

void test('groups are dealt out to processes evenly, and some have none', () => {
  assert.deepEqual(dealt(['a', 'b', 'c', 'd', 'e'], 2), [
    ['a', 'c', 'e'],
    ['b', 'd'],
  ])
  assert.deepEqual(dealt(['a'], 2), [['a'], []])
})
