import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PlanTime } from './plan-time.ts'

void test('the first change is planned at once, those that follow are gathered', () => {
  const time = new PlanTime()
  assert.equal(time.isDue, false)
  time.changed('a', 5_000)
  assert.equal(time.dueMs, 5_000)
  assert.deepEqual(time.take(5_000), ['a'])
  time.changed('b', 5_200)
  time.changed('c', 5_250)
  assert.equal(time.dueMs, 5_300)
  assert.deepEqual(time.take(5_300), ['b', 'c'])
  assert.equal(time.isDue, false)
})

void test('a change a second after the last plan is planned at once', () => {
  const time = new PlanTime()
  time.changed('a', 0)
  time.take(0)
  time.changed('b', 999)
  assert.equal(time.dueMs, 1_099)
  time.take(1_099)
  time.changed('c', 2_099)
  assert.equal(time.dueMs, 2_099)
})

void test('what is hurried is due now', () => {
  const time = new PlanTime()
  time.changed('a', 0)
  time.take(0)
  time.changed('b', 10)
  time.hurry(10)
  assert.equal(time.dueMs, 10)
})
