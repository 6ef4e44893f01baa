import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMqError } from '@popmq/client'
import {
  cpuPercent,
  parsePeakRss,
  parseRanNs,
  parseRss,
  peakRssBytes,
  processUsage,
  whyNoUsage,
} from './process-usage.ts'

void test('what the kernel tells of a process is read', () => {
  const status = 'Name:\tnode\nVmPeak:\t  95000 kB\nVmHWM:\t  90000 kB\nVmRSS:\t   81 kB\n'
  assert.equal(parseRss(status), 81 * 1_024)
  assert.equal(parsePeakRss(status), 90_000 * 1_024)
  assert.equal(parseRanNs('56047438 49616936 182\n'), 56_047_438)
  for (const parse of [parseRss, parsePeakRss]) {
    assert.throws(
      () => parse('Name:\tnode\nState:\tZ (zombie)\n'),
      (error) => isMqError(error, 'unreachable'),
    )
  }
})

void test('a share is of one processor, over the time between', () => {
  const from = { atMs: 1_000, cpuMs: 400, rssBytes: 0 }
  assert.equal(cpuPercent(from, { atMs: 11_000, cpuMs: 600, rssBytes: 0 }), 2)
  assert.equal(cpuPercent(from, { atMs: 2_000, cpuMs: 2_400, rssBytes: 0 }), 200)
})

void test('this process has used a processor and has memory; one that is gone has nothing to tell', async (t) => {
  const why = whyNoUsage()
  if (why !== undefined) return t.skip(`Not run on this machine: ${why}`)
  const { cpuMs, rssBytes } = await processUsage(process.pid)
  assert.ok(cpuMs > 0 && rssBytes > 0)
  // The kernel counts roughly while threads run.
  assert.ok(((await peakRssBytes(process.pid)) ?? 0) > rssBytes / 2)
  // Above the highest id that a process may have.
  for (const reading of [processUsage(2 ** 30), peakRssBytes(2 ** 30)])
    await assert.rejects(reading, (error) => isMqError(error, 'unreachable'))
})
