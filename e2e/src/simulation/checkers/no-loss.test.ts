import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noLoss } from './no-loss.ts'
import { SampleHistory } from './testing/sample-history.ts'

void test('a history whose acknowledged messages are all there has no loss', () => {
  const { book } = new SampleHistory().acked('a', 0).acked('b', 1).left(['a', 'b'])
  assert.deepEqual(noLoss(book), [])
})

void test('a message acknowledged at disk that is gone is a loss, even after a crash', () => {
  const { book } = new SampleHistory().acked('a', 0).acked('b', 1).left(['a'])
  book.crashes.push({ node: 'broker-1', atMs: 100 })
  assert.match(noLoss(book)[0]?.what ?? '', /^b \(disk, orders\/0 at 1\) was acknowledged/)
})

void test('a message acknowledged at received may be gone after a crash, and only then', () => {
  const history = new SampleHistory().acked('a', 0, { acks: 'received' }).left([])
  assert.equal(noLoss(history.book).length, 1)
  history.book.crashes.push({ node: 'broker-1', atMs: 100 })
  assert.deepEqual(noLoss(history.book), [])
})

void test('a message may be gone when it was purged, and the one behind the purge may not', () => {
  assert.deepEqual(
    noLoss(new SampleHistory().acked('a', 0).acked('b', 1).purged(1).left(['b'], 1).book),
    [],
  )
  const { book } = new SampleHistory().acked('a', 0).acked('b', 1).purged(1).left([], 2)
  assert.deepEqual(
    noLoss(book).map(({ what }) => what.split(' ')[0]),
    ['b', 'partition'],
  )
})

void test('the messages of a topic that expires may go at the front, not in the middle', () => {
  const expiring = (): SampleHistory =>
    new SampleHistory({ expires: true }).acked('a', 0).acked('b', 1).acked('c', 2)
  assert.deepEqual(noLoss(expiring().left(['c'], 2).book), [])
  assert.equal(noLoss(expiring().left(['a', 'c']).book).length, 1)
})

void test('a topic that was deleted takes its messages with it, but none that was sent later', () => {
  const { book } = new SampleHistory()
    .acked('a', 0, { invokedMs: 5 })
    .acked('b', 0, { invokedMs: 50 })
  book.removals.push({ kind: 'delete', topic: 'orders', atMs: 20 })
  assert.deepEqual(
    noLoss(book).map(({ what }) => what.split(' ')[0]),
    ['b'],
  )
})
