import assert from 'node:assert/strict'
import { test } from 'node:test'
import { groupId, type Offset, partitionKey, partitionNumber, topicId } from '@popmq/protocol'
import { PoppedPartition } from './popped-partition.ts'

const group = groupId(7)
const key = partitionKey(topicId(1), partitionNumber(0))

interface Leasing {
  readonly nonce: number
  readonly attempt?: number
  readonly next?: number
  readonly generation?: number
  readonly at?: number
}

function lease(partition: PoppedPartition, numbers: readonly number[], leasing: Leasing): void {
  const { nonce, attempt = 1, next = 0, generation = 0, at = 1_000 } = leasing
  const run = { key, generation, attempt, next: next as Offset, numbers }
  partition.lease(run, { groupId: group, nonce, at, until: at + 500, consumer: 'c', runs: [run] })
}

function seen(partition: PoppedPartition): object {
  const { next, open, ahead, skipped } = partition
  return { next, open: [...open.keys()], ahead: [...ahead], skipped }
}

function partition(): PoppedPartition {
  return new PoppedPartition(group, key)
}

void test('what is handed out is open, what lies between was passed by', () => {
  const popped = partition()
  lease(popped, [1, 4], { nonce: 5, next: 6 })
  assert.deepEqual(seen(popped), { next: 6, open: [1, 4], ahead: [], skipped: 4 })
  assert.equal(popped.settle(1 as Offset), true)
  assert.equal(popped.settle(1 as Offset), false)
  assert.deepEqual(seen(popped), { next: 6, open: [4], ahead: [], skipped: 4 })
})

void test('what is settled ahead is not passed by, and is not handed out by a record that came before', () => {
  const popped = partition()
  assert.equal(popped.settle(2 as Offset), false)
  lease(popped, [0, 1, 2, 3], { nonce: 5, next: 4 })
  assert.deepEqual(seen(popped), { next: 4, open: [0, 1, 3], ahead: [], skipped: 0 })
})

void test('earlier deliveries are told once nobody answered them: not when extended, not when given back', () => {
  const popped = partition()
  const earlier = (): (readonly [number, string, number])[] =>
    (popped.open.get(0 as Offset)?.earlier ?? []).map(({ n, outcome, heldMs }) => [
      n,
      outcome,
      heldMs,
    ])
  lease(popped, [0], { nonce: 5, next: 1 })
  lease(popped, [0], { nonce: 5, at: 1_400 })
  assert.deepEqual(earlier(), [])
  lease(popped, [0], { nonce: 0, attempt: 0 })
  assert.deepEqual(earlier(), [])
  lease(popped, [0], { nonce: 6, attempt: 1, at: 2_000 })
  lease(popped, [0], { nonce: 7, attempt: 2, at: 9_000 })
  assert.deepEqual(earlier(), [[1, 'expired', 500]])
  lease(popped, [0], { nonce: 0, attempt: 2, at: 9_100 })
  assert.deepEqual(earlier(), [
    [1, 'expired', 500],
    [2, 'expired', 100],
  ])
})

void test('a horizon passes by what nobody has in hand, and leaves what somebody has', () => {
  const popped = partition()
  lease(popped, [0, 1], { nonce: 5, next: 2 })
  popped.settle(3 as Offset)
  popped.horizon(6 as Offset)
  assert.deepEqual(seen(popped), { next: 6, open: [0, 1], ahead: [], skipped: 3 })
  lease(popped, [4], { nonce: 6, next: 6 })
  assert.deepEqual(seen(popped), { next: 6, open: [0, 1], ahead: [], skipped: 3 })
})

void test('a reset forward passes by what lies between; one back takes the count of the record', () => {
  const popped = partition()
  const head = { groupId: group, key }
  lease(popped, [0, 1], { nonce: 5, next: 2 })
  popped.settle(3 as Offset)
  popped.reset({ ...head, generation: 1, to: 5 as Offset, skippedBelow: 99 })
  assert.deepEqual(seen(popped), { next: 5, open: [0, 1], ahead: [], skipped: 2 })
  popped.reset({ ...head, generation: 1, to: 0 as Offset, skippedBelow: 0 })
  assert.equal(popped.next, 5)
  popped.reset({ ...head, generation: 2, to: 1 as Offset, skippedBelow: 0 })
  assert.deepEqual(seen(popped), { next: 1, open: [0], ahead: [], skipped: 0 })
  lease(popped, [1], { nonce: 6, next: 2, generation: 1 })
  assert.deepEqual(seen(popped), { next: 1, open: [0], ahead: [], skipped: 0 })
})
