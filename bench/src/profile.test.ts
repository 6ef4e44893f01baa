import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hottest } from './profile.ts'

const frame = (functionName: string, url = '', lineNumber = 0) => ({
  functionName,
  url,
  lineNumber,
})
const log = 'file:///somewhere/broker/dist/core/log/commit-log.js'

void test('functions are ranked by their own time, one that is called from two places once, and idle time left out', () => {
  const profile = {
    startTime: 0,
    nodes: [
      { id: 1, callFrame: frame('(root)') },
      { id: 2, callFrame: frame('append', log, 40) },
      { id: 3, callFrame: frame('append', log, 40) },
      { id: 4, callFrame: frame('', 'file:///a/node_modules/ws/lib/sender.js', 9) },
      { id: 5, callFrame: frame('(idle)') },
      { id: 6, callFrame: frame('crc32', 'node:zlib', 852) },
    ],
    // Each sample lasts until the next: 2 → 1,000 µs, 5 → 9,000, 3 → 2,000, 4 → 500, 6 → 1,500, the last one nothing.
    samples: [2, 5, 3, 4, 6, 2],
    timeDeltas: [700, 1_000, 9_000, 2_000, 500, 1_500],
  }
  assert.deepEqual(hottest(profile, 3), [
    { name: 'append', where: 'broker/core/log/commit-log.js:41', selfMs: 3, share: 0.6 },
    { name: 'crc32', where: 'node:zlib:853', selfMs: 2, share: 0.3 },
    { name: '(anonymous)', where: 'ws/lib/sender.js:10', selfMs: 1, share: 0.1 },
  ])
})

void test('with spans only what ran while one of them lasted counts', () => {
  const profile = {
    startTime: 50_000_000,
    nodes: [
      { id: 1, callFrame: frame('fill') },
      { id: 2, callFrame: frame('pop') },
      { id: 3, callFrame: frame('ack') },
    ],
    // The samples are at 50,001 ms, 50,003, 50,004, 50,006 and 50,007.
    samples: [1, 2, 3, 1, 2],
    timeDeltas: [1_000, 2_000, 1_000, 2_000, 1_000],
  }
  const during = [
    { fromMs: 50_003, toMs: 50_006 },
    { fromMs: 60_000, toMs: 70_000 },
  ]
  const found = hottest(profile, 9, during).map(({ name, selfMs }) => [name, selfMs])
  assert.deepEqual(found, [
    ['ack', 2],
    ['pop', 1],
  ])
})
