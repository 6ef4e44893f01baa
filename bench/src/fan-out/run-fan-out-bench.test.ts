/** The workload fan-out once with few messages, on a real `popmq dev`: that it runs and counts, not how fast. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type FanOutRun, runFanOutBench } from './run-fan-out-bench.ts'

const popmq = fileURLToPath(new URL('../../../cli/bin/popmq.js', import.meta.url))
const { signal } = new AbortController()
const folder = mkdtempSync(path.join(tmpdir(), 'popmq-fan-out-'))
test.after(() => rmSync(folder, { recursive: true }))

void test('every group gets every message once, beside runs with one group', async () => {
  const told: FanOutRun[] = []
  const report = await runFanOutBench({
    ...{ popmq, signal, data: folder, sizeBytes: 20, rate: 1_000, seconds: 1, runs: 2 },
    ...{ groups: 3, processes: 2 },
    onRun: (run) => Promise.resolve(void told.push(run)),
  })
  assert.deepEqual(
    told.map((run) => [run.path, run.run, run.lag.count]),
    [
      ['all groups', 0, 1_500],
      ['one group', 0, 500],
      ['one group', 1, 500],
      ['all groups', 1, 1_500],
      ['all groups', 2, 1_500],
      ['one group', 2, 500],
    ],
  )
  assert.deepEqual(
    report.lags.map(({ count }) => count),
    [1_000, 1_000, 1_000],
  )
  assert.equal(report.lag.maxMs, Math.max(...report.lags.map(({ maxMs }) => maxMs)))
  assert.equal(report.late.count, 1_000)
  assert.equal(report.beside.lag.count, 1_000)
  for (const { work, cpuUsPerSent, cpuUsPerDelivered } of [report, report.beside]) {
    assert.ok(work.cpuSeconds > 0 && cpuUsPerDelivered > 0)
    assert.ok(cpuUsPerDelivered <= cpuUsPerSent)
  }
  assert.ok(report.ratios.cpuPerSent > 0)
})
