/** Each side of the workload end-to-end once with few messages, on a real `popmq dev`: what is reported, not how fast. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { whyNoUsage } from './process-usage.ts'
import { type BenchReport, type BenchRequest, runBench } from './run-bench.ts'
import { ServerProcess } from './server-process.ts'

const popmq = fileURLToPath(new URL('../../cli/bin/popmq.js', import.meta.url))
const folder = mkdtempSync(path.join(tmpdir(), 'popmq-paths-'))
test.after(() => rmSync(folder, { recursive: true }))

function bench(request: Pick<BenchRequest, 'besideStripped' | 'servers'>): Promise<BenchReport> {
  const { signal } = new AbortController()
  return runBench({
    ...{ popmq, signal, data: folder, workload: 'end-to-end', acks: 'disk', turns: 'batch' },
    ...{ sizeBytes: 20, batch: 50, messages: 500, runs: 1, keyed: true, ...request },
    onRun: () => Promise.resolve(),
  })
}

void test('the report tells the most that the started server had resident, beside the aim', async (t) => {
  const why = whyNoUsage()
  if (why !== undefined) return t.skip(`Not run on this machine: ${why}`)
  const { messagesPerSecond, beside, serverMemory: memory } = await bench({ besideStripped: true })
  assert.ok(messagesPerSecond > 0)
  assert.equal(beside?.path, 'stripped')
  // No Node.js is smaller, and so few messages take no more than the aim.
  assert.ok(memory !== undefined && memory.peakRssBytes > 20_000_000)
  assert.ok(memory.peakRssBytes < memory.mostRssBytes)
  assert.equal(memory.mostRssBytes, 300_000_000)
})

void test('of a running cluster no memory is told', async () => {
  const data = path.join(folder, 'running')
  const server = await ServerProcess.start({ popmq, data, nodeFlags: [] })
  try {
    const report = await bench({ besideStripped: false, servers: server.servers })
    assert.ok(report.messagesPerSecond > 0)
    assert.equal('serverMemory' in report, false)
  } finally {
    await server.close()
  }
})
