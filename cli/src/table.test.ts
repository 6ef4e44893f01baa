import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatTable } from './table.ts'

void test('numbers stand right, words left, and no line ends in blanks', () => {
  const table = formatTable(
    ['topic', 'partitions', 'note'],
    [
      ['orders', '8', ''],
      ['a', '1024', 'long'],
    ],
  )
  assert.equal(table, 'topic   partitions  note\norders           8\na             1024  long\n')
})
