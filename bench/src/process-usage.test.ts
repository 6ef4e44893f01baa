import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMqError } from '@popmq/client'
import { cpuPercent, parseRanNs, parseRss, processUsage, whyNoUsage } from './process-usage.ts'

void test('what the kernel tells of a process is read', () => {
  assert.equal(parseRss('Name:\tnode\nVmHWM:\t  90000 kB\nVmRSS:\t   81 kB\n'), 81 * 1_024)
  assert.equal(parseRanNs('56047438 49616936 182\n'), 56_047_438)
  assert.throws(
    () => parseRss('Name:\tnode\nState:\tZ (zombie)\n'),
    (error) => isMqError(error, 'unreachable'),
  )
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
  // Above the highest id that a process may have.
  await assert.rejects(processUsage(2 ** 30), (error) => isMqError(error, 'unreachable'))
})
