/** The workload latency once with few messages, on a real `popmq dev`: that it runs and counts, not how fast. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type LatencyRun, runLatencyBench } from './run-latency-bench.ts'

const popmq = fileURLToPath(new URL('../../../cli/bin/popmq.js', import.meta.url))
const { signal } = new AbortController()
const folder = mkdtempSync(path.join(tmpdir(), 'popmq-latency-'))
test.after(() => rmSync(folder, { recursive: true }))

void test('both sides keep to the schedule in turn, and every message is measured once', async () => {
  const data = mkdtempSync(path.join(folder, 'data-'))
  const told: LatencyRun[] = []
  const report = await runLatencyBench({
    ...{ popmq, signal, data, sizeBytes: 20, rate: 400, seconds: 1, runs: 2 },
    profiles: path.join(folder, 'profiles'),
    onRun: (run) => Promise.resolve(void told.push(run)),
  })
  assert.deepEqual(
    told.map(({ path: side, run, count }) => [side, run, count]),
    [
      ['popmq', 0, 200],
      ['bare', 0, 200],
      ['bare', 1, 200],
      ['popmq', 1, 200],
      ['popmq', 2, 200],
      ['bare', 2, 200],
    ],
  )
  const { received, acknowledged, late, beside, pairs, ratio } = report
  for (const latency of [received, acknowledged, late, beside]) {
    const { count, p50Ms, p90Ms, p99Ms, p999Ms, maxMs } = latency
    assert.equal(count, 400)
    const inOrder = [0, p50Ms, p90Ms, p99Ms, p999Ms, maxMs]
    assert.deepEqual(
      inOrder.toSorted((a, b) => a - b),
      inOrder,
    )
  }
  // Nothing is received or acknowledged before it is sent.
  assert.ok(received.p50Ms >= late.p50Ms && acknowledged.p50Ms >= late.p50Ms)
  assert.equal(pairs.length, 2)
  assert.ok(ratio >= Math.min(...pairs) && ratio <= Math.max(...pairs))
  assert.ok(report.messagesPerSecond > 0)
  assert.deepEqual(
    report.profiles.map((profiled) => profiled.process),
    ['popmq-producer', 'popmq-reader', 'popmq-server'],
  )
  assert.deepEqual(readdirSync(data), [])
})
