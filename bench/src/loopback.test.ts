/** Each workload of delivery once with few messages, on a real `popmq dev`: that it runs and counts, not how fast. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { isMqError } from '@popmq/client'
import { runDelayedBench } from './delayed/run-delayed-bench.ts'
import type { PopRun } from './pop/pop-runs.ts'
import { runPopBench } from './pop/run-pop-bench.ts'
import { runWakeUpBench } from './wake-up/run-wake-up-bench.ts'

const popmq = fileURLToPath(new URL('../../cli/bin/popmq.js', import.meta.url))
const { signal } = new AbortController()
const folder = mkdtempSync(path.join(tmpdir(), 'popmq-loopback-'))
test.after(() => rmSync(folder, { recursive: true }))

const pops = { popmq, signal, data: folder, sizeBytes: 20, batch: 7, messages: 300, consumers: 3 }

void test('a group of several processes pops and acks every message once, and is profiled', async () => {
  const told: [number, boolean][] = []
  const report = await runPopBench({
    ...pops,
    workload: 'pop',
    processes: 2,
    runs: 1,
    profiles: path.join(folder, 'profiles'),
    onRun: ({ run }, isWarmUp) => Promise.resolve(void told.push([run, isWarmUp])),
  })
  assert.deepEqual(told, [
    [0, true],
    [1, false],
  ])
  assert.ok(report.messagesPerSecond > 0)
  assert.equal(report.ratio, undefined)
  assert.deepEqual(
    report.profiles.map((profiled) => profiled.process),
    ['popmq-popper-1', 'popmq-popper-2', 'popmq-server'],
  )
})

void test('one held message is extended while the others are acked, beside runs with none held', async () => {
  const runs: PopRun[] = []
  const report = await runPopBench({
    ...pops,
    workload: 'pop-held',
    processes: 1,
    runs: 2,
    onRun: (run) => Promise.resolve(void runs.push(run)),
  })
  const [one, none] = ['one held', 'none held']
  assert.deepEqual(
    runs.map((run) => run.path),
    [one, none, none, one, one, none],
  )
  for (const run of runs) assert.equal(run.path === one, (run.extensions ?? 0) > 0)
  assert.equal(report.pairs?.length, 2)
  assert.ok((report.ratio ?? 0) > 0)
})

void test('a message goes around between waiting pops', async () => {
  const given = { popmq, signal, data: folder, sizeBytes: 20 }
  const { send, ...report } = await runWakeUpBench({ ...given, messages: 3, delayMs: 10 })
  for (const latency of [send, report.arrival, report.retry, report.expiry]) {
    assert.equal(latency.count, 3)
    assert.ok(latency.p50Ms <= latency.maxMs)
  }
})

void test('delayed messages are all pending, then all visible', async () => {
  const given = { popmq, signal, data: folder, sizeBytes: 20 }
  const { memory, ...report } = await runDelayedBench({ ...given, messages: 500, batch: 50 })
  const pending = [memory.before, memory.pending, memory.after].map(({ delayed }) => delayed)
  assert.deepEqual(pending, [0, 500, 0])
  for (const rate of [report.scheduledPerSecond, report.firedPerSecond]) assert.ok(rate > 0)
})

void test('a measurement that is stopped ends with aborted and leaves nothing behind', async () => {
  const stopping = new AbortController()
  const data = mkdtempSync(path.join(folder, 'stopped-'))
  const measuring = runPopBench({
    ...pops,
    ...{ workload: 'pop', processes: 1, runs: 1, data, signal: stopping.signal },
    onRun: () => Promise.resolve(stopping.abort()),
  })
  await assert.rejects(measuring, (error) => isMqError(error, 'aborted'))
  assert.deepEqual(readdirSync(data), [])
})
