import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CurrentHandles, type Results } from './current-handles.ts'

void test('each number is taken once, whatever the order, and its result goes where it stood first', () => {
  const rows = fc.array(fc.array(fc.nat(12), { maxLength: 8 }), { maxLength: 4 })
  fc.assert(
    fc.property(rows, (asked) => {
      const handles = new CurrentHandles()
      const results: Results = asked.map((row) => row.map(() => 'unknown'))
      const seen = new Set<number>()
      const expected: Results = asked.map((row) => row.map(() => 'already'))
      for (const [row, numbers] of asked.entries()) {
        for (const [column, number] of numbers.entries()) {
          assert.equal(handles.has(number), seen.has(number))
          if (seen.has(number)) results[row]![column] = 'already'
          else {
            handles.add(number, row, column)
            seen.add(number)
            expected[row]![column] = 'acked'
          }
        }
      }
      handles.putAll(results, 'acked')
      assert.deepEqual(results, expected)
      assert.deepEqual(handles.numbers, [...seen])
      assert.deepEqual(
        handles.ascending,
        [...seen].toSorted((a, b) => a - b),
      )
    }),
  )
})
