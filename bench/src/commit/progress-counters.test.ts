import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseCounters } from './progress-counters.ts'

function page(rounds: number): string {
  return [
    '# HELP popmq_coordinator_progress_rounds_total Rounds.',
    `popmq_coordinator_progress_rounds_total ${rounds}`,
    'popmq_coordinator_progress_seconds_total 0.25',
    'popmq_coordinator_progress_commits_total 7',
    'popmq_coordinator_progress_nodes_total 120',
  ].join('\n')
}

void test('counters are read by name, and told as a difference', () => {
  const { rounds, seconds, commits, nodes } = parseCounters(page(9)).since(parseCounters(page(4)))
  assert.deepEqual([rounds, seconds, commits, nodes], [5, 0, 0, 0])
  assert.equal(parseCounters(page(4)).nodes, 120)
})

void test('a page without one of them is a defect, not a zero', () => {
  assert.throws(() => parseCounters('up 1\n'), { name: 'internal' })
})
