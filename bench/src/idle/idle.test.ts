import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { whyNoUsage } from '../process-usage.ts'
import { parseOpenFiles } from './idle-roles.ts'
import { answeredOf } from './idle-run.ts'
import { growthPer, runIdleBench } from './run-idle-bench.ts'

const popmq = fileURLToPath(new URL('../../../cli/bin/popmq.js', import.meta.url))
const { signal } = new AbortController()
const folder = mkdtempSync(path.join(tmpdir(), 'popmq-idle-'))
test.after(() => rmSync(folder, { recursive: true }))

void test('polls wait on idle connections, and messages wake the right ones', async (t) => {
  const why = whyNoUsage()
  if (why !== undefined) return t.skip(`Not run on this machine: ${why}`)
  const settings = { connections: 12, polls: 240, idleMs: 50, pollMs: 50 }
  const report = await runIdleBench({ ...settings, popmq, signal, data: folder })
  assert.deepEqual([report.fetches, report.pops], [120, 120])
  const { dev, footprints, wakeUps } = report
  assert.equal(dev.starts.length, 3)
  for (const { rssBytes, usedBytes } of Object.values(footprints))
    assert.ok(rssBytes > usedBytes && usedBytes > 0)
  // As many answers as messages that were received: nobody else was woken.
  assert.deepEqual(
    wakeUps.map(({ what, woken, latency, answered }) => [what, woken, latency.count, answered]),
    [
      ['fetches of one partition', 2, 10, 20],
      ['fetches of all partitions', 120, 1, 120],
      ['one pop', 1, 10, 10],
      ['many pops', 120, 1, 120],
    ],
  )
  assert.deepEqual(readdirSync(folder), [])
})

void test('bytes are told for each, and may be fewer than before', () => {
  const from = { rssBytes: 1_000, usedBytes: 500 }
  assert.deepEqual(growthPer(10, { from, to: { rssBytes: 3_006, usedBytes: 480 } }), {
    rssBytes: 201,
    usedBytes: -2,
  })
})

void test('the hard limit of open files counts', () => {
  const limits = (hard: string): string =>
    `Max processes             95     95     processes\nMax open files            1024   ${hard}   files\n`
  assert.equal(parseOpenFiles(limits('20000')), 20_000)
  assert.equal(parseOpenFiles(limits('unlimited')), Infinity)
})

void test('answers of one kind of request are counted, those with an error too', () => {
  const page = [
    'popmq_broker_requests_total{request="pop",error="none"} 7',
    'popmq_broker_requests_total{request="pop",error="broker_busy"} 2',
    'popmq_broker_requests_total{request="popHint",error="none"} 5',
  ].join('\n')
  assert.equal(answeredOf(page, 'pop'), 9)
})
