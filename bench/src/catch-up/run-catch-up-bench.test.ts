/** The workload once with few messages, on a real `popmq dev`: that it runs and counts, not how fast. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { runCatchUpBench } from './run-catch-up-bench.ts'

const popmq = fileURLToPath(new URL('../../../cli/bin/popmq.js', import.meta.url))

void test('a backlog is read whole, twice, beside live traffic, which is measured before and meanwhile', async () => {
  const settings = { sizeBytes: 20, messages: 20_000, batch: 100, rate: 500, seconds: 0.2, runs: 2 }
  const { signal } = new AbortController()
  const report = await runCatchUpBench({ popmq, signal, ...settings })
  assert.deepEqual(report.settings, settings)
  const { alone, beside } = report.live
  // What was due in twice 0.2 s; how late a timer is makes them more.
  assert.ok(alone.count >= 198)
  assert.equal(report.pairs.length, 2)
  for (const { count, p50Ms, maxMs } of [alone, beside]) {
    assert.ok(count > 0 && p50Ms > 0)
    assert.ok(p50Ms <= maxMs)
  }
  for (const rate of [report.storedPerSecond, report.messagesPerSecond, report.ratio])
    assert.ok(rate > 0)
})
