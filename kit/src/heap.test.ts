import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Heap } from './heap.ts'

void test('a heap gives back what was pushed, smallest first', () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), (numbers) => {
      const heap = new Heap<number>((a, b) => a < b)
      for (const number of numbers) heap.push(number)
      const popped = []
      while (heap.size > 0) popped.push(heap.pop())
      assert.deepEqual(
        popped,
        numbers.toSorted((a, b) => a - b),
      )
    }),
  )
})

void test('an empty heap has nothing to give', () => {
  const heap = new Heap<number>((a, b) => a < b)
  assert.equal(heap.peek(), undefined)
  assert.equal(heap.pop(), undefined)
})
