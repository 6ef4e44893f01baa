import assert from 'node:assert/strict'
import { test } from 'node:test'
import { summarize } from './summary.ts'
import { batchesUnderWay } from './workload.ts'

void test('a summary is the median and how far the runs lie apart', () => {
  assert.deepEqual(summarize([300, 100, 200]), {
    messagesPerSecond: 200,
    low: 100,
    high: 300,
    spread: 1,
  })
  assert.deepEqual(summarize([100, 100, 110, 130]), {
    messagesPerSecond: 105,
    low: 100,
    high: 130,
    spread: 0.286,
  })
})

void test('few large batches or many small ones are under way, never none', () => {
  const under = (batch: number, sizeBytes: number) => batchesUnderWay({ batch, sizeBytes })
  assert.deepEqual(
    [under(1_000, 100), under(1, 100), under(100, 1_048_576), under(65_535, 100)],
    [64, 1_000, 2, 1],
  )
})
