/** The workload send once with few messages, on a real `popmq dev`: that it runs and counts, not how fast. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { runSendBench } from './run-send-bench.ts'

const popmq = fileURLToPath(new URL('../../../cli/bin/popmq.js', import.meta.url))
const { signal } = new AbortController()
const folder = mkdtempSync(path.join(tmpdir(), 'popmq-send-'))
test.after(() => rmSync(folder, { recursive: true }))

void test('messages are sent one by one beside a bare loop, then many in flight, and all are stored', async () => {
  const told: [number, boolean][] = []
  const report = await runSendBench({
    ...{ popmq, signal, data: folder, sizeBytes: 20 },
    ...{ messages: 300, inFlight: 50, singles: 20, runs: 2 },
    onRun: ({ run, oneByOne, bare }, isWarmUp) => {
      assert.deepEqual([oneByOne.count, bare.count], [20, 20])
      return Promise.resolve(void told.push([run, isWarmUp]))
    },
  })
  assert.deepEqual(told, [
    [0, true],
    [1, false],
    [2, false],
  ])
  for (const { count, p50Ms, p99Ms, maxMs } of [report.oneByOne, report.beside]) {
    assert.equal(count, 40)
    assert.ok(p50Ms > 0 && p50Ms <= p99Ms && p99Ms <= maxMs)
  }
  assert.equal(report.pairs.length, 2)
  assert.ok(report.ratio > 0)
  assert.ok(report.low > 0 && report.low <= report.messagesPerSecond)
  assert.deepEqual(report.profiles, [])
  assert.deepEqual(readdirSync(folder), [])
})
