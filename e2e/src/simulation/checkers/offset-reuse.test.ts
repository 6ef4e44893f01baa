import assert from 'node:assert/strict'
import { test } from 'node:test'
import { offsetReuse } from './offset-reuse.ts'
import { SampleHistory } from './testing/sample-history.ts'

void test('an offset that always shows the same message is not reused', () => {
  const { book } = new SampleHistory()
    .read(['a', 'b'])
    .read(['b'], { from: 1, reader: 's' })
    .left(['a', 'b'])
  assert.deepEqual(offsetReuse(book), [])
})

void test('an offset that shows another message later is reused', () => {
  const { book } = new SampleHistory().read(['a', 'b']).left(['a', 'c'])
  assert.match(
    offsetReuse(book)[0]?.what ?? '',
    /7\/0 at 1: r read b .* then the final reader read c/,
  )
})

void test('an offset whose message has another append time later is reused', () => {
  const { book } = new SampleHistory().read(['a']).left(['a'])
  book.final.set('7/0', { low: 0, high: 1, messages: [{ offset: 0, value: 'a', appendedAt: 5 }] })
  assert.equal(offsetReuse(book).length, 1)
})
