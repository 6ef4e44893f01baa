import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { abortable, onAbort } from './aborting.ts'

void test('any number of waits share a signal without a word from Node, and all hear of it', async () => {
  const warnings: string[] = []
  const warned = ({ name }: Error): void => void warnings.push(name)
  process.on('warning', warned)
  const stopping = new AbortController()
  const never = new Promise<never>(() => undefined)
  const waits = Array.from({ length: 20 }, () => abortable(never, stopping.signal))
  const outcomes = Promise.allSettled(waits)
  stopping.abort()
  const names = (await outcomes).map((each) => each.status === 'rejected' && each.reason.name)
  assert.deepEqual(
    names,
    Array.from({ length: 20 }, () => 'aborted'),
  )
  // Warnings come in a turn of their own: this one is the last.
  const last = once(process, 'warning')
  process.emitWarning('the last one', 'Last')
  await last
  process.off('warning', warned)
  assert.deepEqual(warnings, ['Last'])
})

void test('who has stopped listening is not told', () => {
  const stopping = new AbortController()
  let told = 0
  const stopListening = onAbort(stopping.signal, () => (told += 1))
  onAbort(stopping.signal, () => (told += 10))
  stopListening()
  stopping.abort()
  assert.equal(told, 10)
})
