/** The workload once over a small log, on a real `popmq dev`: that it runs and finds all, not how fast. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { isMqError } from '@popmq/client'
import type { RecoveryStart } from './recovery-run.ts'
import { runRecoveryBench } from './run-recovery-bench.ts'

const popmq = fileURLToPath(new URL('../../../cli/bin/popmq.js', import.meta.url))
const data = mkdtempSync(path.join(tmpdir(), 'popmq-recovery-'))
test.after(() => rmSync(data, { recursive: true }))

const small = { popmq, data, megabytes: 1, sizeBytes: 1_000, batch: 50, runs: 1, loadMs: 300 }

void test('after a stop and after a kill the last acknowledged messages are there, and it serves', async () => {
  const starts: RecoveryStart[] = []
  const { signal } = new AbortController()
  const onStart = (start: RecoveryStart): Promise<void> => Promise.resolve(void starts.push(start))
  const report = await runRecoveryBench({ ...small, signal, onStart })
  const found = starts.map(({ after, isClean, partitionsChecked }) => [
    ...[after, isClean, partitionsChecked],
  ])
  assert.deepEqual(found, [
    ['stop', true, 8],
    ['kill', false, 8],
  ])
  assert.equal(report.checked, 16)
  assert.equal(report.filled.messages, 1_000)
  assert.ok(report.logBytes > 1e6)
  const { afterStop, afterKill } = report
  assert.equal(afterStop.verifiedBytes, 0)
  assert.ok(afterKill.verifiedBytes > 0)
  for (const { leadingMs, recoveredMs, servingMs, producedMs, readMs, servedMs } of [
    ...[afterStop, afterKill],
  ]) {
    assert.ok(leadingMs > 0 && leadingMs <= recoveredMs && recoveredMs <= servingMs)
    assert.ok(servingMs <= servedMs && servedMs === Math.max(producedMs, readMs))
  }
  assert.deepEqual(readdirSync(data), [])
})

void test('a measurement that is stopped ends with aborted and leaves nothing behind', async () => {
  const stopping = new AbortController()
  const measuring = runRecoveryBench({
    ...small,
    runs: 2,
    signal: stopping.signal,
    onStart: () => Promise.resolve(stopping.abort()),
  })
  await assert.rejects(measuring, (error) => isMqError(error, 'aborted'))
  assert.deepEqual(readdirSync(data), [])
})
