import assert from 'node:assert/strict'
import { test } from 'node:test'
import { order } from './order.ts'
import { SampleHistory } from './testing/sample-history.ts'

void test('messages of one producer that lie in the order of sending are in order', () => {
  const { book } = new SampleHistory()
    .acked('a', 0)
    .sent('lost', {})
    .acked('b', 1)
    .read(['a', 'b'])
    .left(['a', 'b'])
  assert.deepEqual(order(book), [])
})

void test('a message that lies behind a later one of its producer is out of order', () => {
  const { book } = new SampleHistory().acked('a', 1).acked('b', 0).left(['b', 'a'])
  assert.match(order(book)[0]?.what ?? '', /number 0 of p lies behind number 1/)
})

void test('two producers have no order between them', () => {
  const { book } = new SampleHistory()
    .acked('a', 1)
    .acked('b', 0, { producer: 'q' })
    .left(['b', 'a'])
  assert.deepEqual(order(book), [])
})

void test('a poll that leaves out an offset has a gap', () => {
  const history = new SampleHistory()
    .acked('a', 0)
    .acked('b', 1)
    .left(['a', 'b'])
    .read(['b'], { from: 1 })
  assert.deepEqual(order(history.book), [])
  history.book.polls.push({ ...history.book.polls[0]!, from: 0 })
  assert.match(order(history.book)[0]?.what ?? '', /offset 1 came where 0 was due/)
})

void test('a poll that goes on elsewhere than behind its last message has a gap', () => {
  const history = new SampleHistory().acked('a', 0).left(['a']).read(['a'])
  history.book.polls[0] = { ...history.book.polls[0]!, next: 2 }
  assert.match(order(history.book)[0]?.what ?? '', /reading goes on at 2/)
})
