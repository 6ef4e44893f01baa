import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { offset, partitionNumber, type PartitionState, topicId } from '@popmq/protocol'
import { pulledState } from './group-lag.ts'

const none = { ready: 0, leased: 0, retrying: 0, parked: 0, dead: 0, acked: 0, skipped: 0 }

function told(fields: Partial<Record<keyof PartitionState, number>>): PartitionState {
  const place = { topicId: topicId(1), partition: partitionNumber(0) }
  return { ...place, ...none, ...fields } as PartitionState
}

function counts(state: PartitionState): Partial<PartitionState> {
  const { ready, leased, retrying, dead, acked, skipped } = state
  return { ready, leased, retrying, dead, acked, skipped }
}

void test('what is behind the committed offset is ready, what is before it was acked', () => {
  const state = pulledState(told({ low: 0, high: 100 }), 40)
  assert.deepEqual(counts(state), { ...counts(told({})), ready: 60, acked: 40 })
  assert.equal(state.committed, 40)
})

void test('what expired before it was read is skipped', () => {
  const state = pulledState(told({ low: 70, high: 100 }), 40)
  assert.deepEqual(counts(state), { ...counts(told({})), ready: 30, acked: 40, skipped: 30 })
})

void test('a partition that was never begun has nothing acked, and nothing committed', () => {
  const state = pulledState(told({ low: 70, high: 100 }), undefined)
  assert.deepEqual(counts(state), { ...counts(told({})), ready: 30, skipped: 70 })
  assert.equal('committed' in state, false)
})

void test('messages set aside below the committed offset are not acked', () => {
  const state = pulledState(told({ low: 0, high: 100, retrying: 3, leased: 2, dead: 1 }), 40)
  assert.deepEqual(counts(state), {
    ready: 60,
    leased: 2,
    retrying: 3,
    dead: 1,
    acked: 34,
    skipped: 0,
  })
})

void test('messages set aside and not committed yet are taken from what is ready', () => {
  const at = { oldestReadyAt: 5 }
  const state = pulledState(told({ low: 0, high: 10, retrying: 4, ...at }), 0)
  assert.deepEqual([state.ready, state.retrying, state.acked], [6, 4, 0])
  assert.equal(state.oldestReadyAt, 5)
  const allAside = pulledState(told({ low: 0, high: 10, retrying: 10, ...at }), 0)
  assert.deepEqual([allAside.ready, 'oldestReadyAt' in allAside], [0, false])
})

void test('the states of a pulled partition sum to its high, whatever was told and committed', () => {
  const count = fc.integer({ min: 0, max: 50 })
  const fields = fc.record({ low: count, high: count, retrying: count, leased: count, dead: count })
  fc.assert(
    fc.property(
      fields,
      fc.option(fc.integer({ min: 0, max: 80 }), { nil: undefined }),
      (of, at) => {
        const state = pulledState(told(of), at === undefined ? undefined : offset(at))
        const { ready, leased, retrying, parked, dead, acked, skipped } = state
        const states = [ready, leased, retrying, parked, dead, acked, skipped]
        assert.equal(
          states.reduce((sum, each) => sum + each, 0),
          of.high,
        )
        assert.ok(
          states.every((each) => each >= 0),
          JSON.stringify(state),
        )
        assert.equal(state.committed, at)
        // Where all that was set aside is committed nothing is taken from the others.
        const aside = of.retrying + of.leased + of.dead
        if (at === undefined || at > of.high || of.low > of.high || aside > at) return
        assert.deepEqual([retrying, leased, dead], [of.retrying, of.leased, of.dead])
        assert.equal(ready, of.high - Math.max(at, of.low))
      },
    ),
    { numRuns: 300 },
  )
})
