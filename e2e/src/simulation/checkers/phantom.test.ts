import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Violation } from '../history.ts'
import { phantom } from './phantom.ts'
import { SampleHistory } from './testing/sample-history.ts'

const whatOf = (violations: readonly Violation[]): string =>
  violations.map(({ what }) => what).join('; ')

void test('what was sent once and stays, acknowledged or unknown, is no phantom', () => {
  const { book } = new SampleHistory().acked('a', 0).sent('b', {}).read(['a', 'b']).left(['a', 'b'])
  assert.deepEqual(phantom(book), [])
})

void test('what nobody sent is a phantom', () => {
  const { book } = new SampleHistory().left(['a'])
  assert.match(whatOf(phantom(book)), /a in 7\/0 at 0, which nobody sent/)
})

void test('what was told to have failed and is read is a phantom', () => {
  const { book } = new SampleHistory()
    .sent('a', { state: 'failed', error: 'disk_full' })
    .left(['a'])
  assert.match(whatOf(phantom(book)), /which was told to have failed \(disk_full\)/)
})

void test('what was sent to another topic is a phantom', () => {
  const { book } = new SampleHistory().acked('a', 0, { topic: 'logs' }).left(['a'])
  assert.match(whatOf(phantom(book)), /which was sent to logs/)
})

void test('a message that lies there twice is a phantom', () => {
  const { book } = new SampleHistory().acked('a', 0).left(['a', 'a'])
  assert.match(whatOf(phantom(book)), /a lies in 7\/0 at 0 and in 7\/0 at 1/)
})

void test('what was read and is gone at the end was a phantom, unless it was purged', () => {
  const read = (): SampleHistory => new SampleHistory().sent('a', {}).sent('b', {}).read(['a', 'b'])
  assert.match(
    whatOf(phantom(read().left(['a']).book)),
    /r read b in 7\/0 at 1, which is not there at the end/,
  )
  assert.deepEqual(phantom(read().purged(2).left([], 2).book), [])
})

void test('a reader that is told of fewer messages than before has seen phantoms', () => {
  const { book } = new SampleHistory()
    .acked('a', 0)
    .read(['a'], { high: 2 })
    .read(['a'], { high: 1 })
    .left(['a'])
  assert.match(whatOf(phantom(book)), /r was told 0 to 2 of 7\/0, then 0 to 1/)
})

void test('a dedup id that is stored twice within its window is a phantom, beyond the window it is not', () => {
  const stored = (dedupWindowMs: number): SampleHistory =>
    new SampleHistory({ dedupWindowMs })
      .acked('a', 0, { dedupId: 'x' })
      .acked('b', 1, { dedupId: 'x' })
      .left(['a', 'b'])
  assert.match(whatOf(phantom(stored(10).book)), /dedup id x is stored again after 1 ms/)
  assert.deepEqual(phantom(stored(1).book), [])
})
