import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AckBatch } from './ack-batch.ts'

void test('messages are settled as many at a time as were asked for, the last ones when no more come', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const settled: (readonly number[])[] = []
  const batch = new AckBatch<number>(3, (each) => settled.push(each))
  for (const number of [1, 2, 3, 4]) batch.add(number)
  assert.deepEqual(settled, [[1, 2, 3]])
  t.mock.timers.tick(10)
  batch.add(5)
  t.mock.timers.tick(10)
  assert.deepEqual(settled, [[1, 2, 3]], 'it grew since the last look')
  t.mock.timers.tick(10)
  assert.deepEqual(settled, [
    [1, 2, 3],
    [4, 5],
  ])
  batch.add(6)
  batch.close()
  assert.deepEqual(settled.at(-1), [6])
  t.mock.timers.tick(100)
  assert.equal(settled.length, 3)
})
