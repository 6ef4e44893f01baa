import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMqError } from '@popmq/client'
import { StartLog } from './start-log.ts'

const lines = [
  '2026-01-01T00:00:00.400Z info coordinator_leading address="localhost:1" epoch=2',
  '2026-01-01T00:00:00.900Z info log_recovered endPosition=960 verifiedBytes=96 cutBytes=7 isClean=false lastAppendedAt=1',
  '2026-01-01T00:00:00.950Z warn coordinator_away waitMs=10',
  '2026-01-01T00:00:01.000Z info broker_serving brokerId=1 epoch=1',
]

void test('steps are told since the process was started, figures as the broker logs them', () => {
  const log = new StartLog()
  for (const each of lines) log.take(each)
  assert.deepEqual(log.steps(Date.parse('2026-01-01T00:00:00Z')), {
    leadingMs: 400,
    recoveredMs: 900,
    servingMs: 1_000,
  })
  assert.deepEqual(log.figures(), {
    logBytes: 960,
    verifiedBytes: 96,
    cutBytes: 7,
    isClean: false,
  })
})

void test('a log without one of the events is a defect, not a zero', () => {
  const log = new StartLog()
  log.take(lines[0] ?? '')
  const isInternal = (error: unknown): boolean => isMqError(error, 'internal')
  assert.throws(() => log.figures(), isInternal)
  assert.throws(() => log.steps(0), isInternal)
})
