import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SampleHistory } from './testing/sample-history.ts'
import { trueReceipts } from './true-receipts.ts'

const receipt = {
  partition: 0,
  offset: 0,
  appendedAt: 1_000,
  duplicate: true,
  level: 'disk',
} as const

void test('receipts that name where their messages lie are true', () => {
  const { book } = new SampleHistory().acked('a', 0).acked('b', 1).left(['a', 'b'])
  assert.deepEqual(trueReceipts(book), [])
})

void test('a receipt that names the place of another message is not true', () => {
  const { book } = new SampleHistory().acked('a', 0).acked('b', 0).left(['a', 'b'])
  assert.match(
    trueReceipts(book)[0]?.what ?? '',
    /the receipt of b names orders\/0 at 0, where a lies/,
  )
})

void test('a receipt with another append time than the message has is not true', () => {
  const { book } = new SampleHistory()
    .acked('a', 0, { receipt: { ...receipt, duplicate: false, appendedAt: 9 } })
    .left(['a'])
  assert.equal(trueReceipts(book).length, 1)
})

void test('the receipt of a duplicate names a message of the same dedup id', () => {
  const first = (): SampleHistory => new SampleHistory().acked('a', 0, { dedupId: 'x' }).left(['a'])
  assert.deepEqual(trueReceipts(first().acked('b', 0, { dedupId: 'x', receipt }).book), [])
  assert.equal(trueReceipts(first().acked('b', 0, { dedupId: 'y', receipt }).book).length, 1)
})
