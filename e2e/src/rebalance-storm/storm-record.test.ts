import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GroupMember, GroupMove, GroupRebalance } from '@popmq/client'
import { quantile, StormRecord } from './storm-record.ts'

function rebalance(number: number, moves: readonly GroupMove[]): GroupRebalance {
  const facts = { at: 0, triggers: ['member_joined'], assignor: 'sticky' }
  return { number, ...facts, members: 2, partitions: 4, moves }
}

/** From a to b. */
function move(partition: number, epoch: number): GroupMove {
  return { topic: 't', partition, epoch, from: 'a', to: 'b' }
}

function member(memberId: string, ...grants: [number, number][]): GroupMember {
  const partitions = grants.map(([partition, epoch]) => ({ topic: 't', partition, epoch }))
  const facts = { remote: '', state: 'live', joinedAt: 0, topics: ['t'], revoking: [] } as const
  return { memberId, ...facts, partitions }
}

void test('a grant that a move tells of is in order', () => {
  const record = new StormRecord()
  record.addRebalances([rebalance(1, [move(0, 2)])])
  record.addMembers([member('b', [0, 2])])
  record.ledger.revoked(0)
  assert.deepEqual(record.movedUntold(), [])
  assert.equal(record.unseen, 0)
})

void test('an epoch, an owner and a revoke that no move tells of are found', () => {
  const record = new StormRecord()
  record.addRebalances([rebalance(1, [move(0, 2), move(1, 2)])])
  record.addMembers([member('b', [0, 3]), member('c', [1, 2])])
  record.ledger.revoked(3)
  assert.deepEqual(record.movedUntold(), [0, 1, 3])
})

void test('more moves than the changes account for are found', () => {
  const record = new StormRecord()
  const moves = [0, 1, 2].map((partition) => move(partition, 2))
  record.addRebalances([rebalance(1, moves.slice(0, 2)), rebalance(2, moves)])
  assert.deepEqual(
    record.excessive().map(({ number }) => number),
    [2],
  )
})

void test('a rebalance that was not seen, and a message that was read twice, are counted', () => {
  const record = new StormRecord()
  record.addRebalances([rebalance(3, [])])
  record.ledger.received(0, 1)
  record.ledger.received(0, 1)
  record.ledger.received(0, 2)
  assert.equal(record.unseen, 2)
  assert.equal(record.receivedTwice, 1)
  assert.equal(record.receivedCount, 2)
})

void test('quantiles are of the sorted numbers', () => {
  assert.equal(quantile([30, 10, 20], 0.5), 20)
  assert.equal(quantile([30, 10, 20], 1), 30)
  assert.equal(quantile([], 0.5), 0)
})
