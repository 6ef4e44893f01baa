/** The workload once with few members, on a real `popmq dev`: that it runs and counts, not how fast. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { MembershipChange } from './rebalance-run.ts'
import { figuresOf, runRebalanceBench } from './run-rebalance-bench.ts'

const popmq = fileURLToPath(new URL('../../../cli/bin/popmq.js', import.meta.url))

void test('a member joins, leaves and is killed, and for each partition that moves it is told how long it was dark', async () => {
  const told: MembershipChange[] = []
  const { signal } = new AbortController()
  const report = await runRebalanceBench({
    ...{ popmq, signal, sizeBytes: 20 },
    ...{ members: 2, partitions: 6, rate: 300, rounds: 1, sessionMs: 1_000 },
    onChange: (change) => Promise.resolve(void told.push(change)),
  })
  const { join, leave, kill } = report
  assert.deepEqual(
    told.map(({ change, least }) => [change, least]),
    [
      ['join', 2],
      ['leave', 2],
      ['join', 2],
      ['kill', 2],
    ],
  )
  assert.deepEqual(
    [join, leave, kill].map(({ changes, moved, dark }) => [changes, moved, dark.count]),
    [
      [2, 4, 4],
      [1, 2, 2],
      [1, 2, 2],
    ],
  )
  for (const { gap } of [join, leave, kill]) assert.ok(gap.count > 0 && gap.maxMs > 0)
  assert.equal(report.messageEveryMs, 20)
})

void test('figures are of all moves of a kind, and gaps of those that were seen', () => {
  const moves = [
    { darkMs: 4, gapMs: 12 },
    { darkMs: 8, gapMs: undefined },
  ]
  const change = { change: 'join', round: 1, moves, least: 1, settledMs: 30 } as const
  const figures = figuresOf([change, { ...change, round: 2 }])
  assert.deepEqual([figures.changes, figures.moved, figures.least], [2, 4, 2])
  assert.deepEqual([figures.dark.count, figures.dark.maxMs], [4, 8])
  assert.deepEqual([figures.gap.count, figures.gap.maxMs], [2, 12])
})
