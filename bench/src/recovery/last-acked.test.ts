import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LastAcked } from './last-acked.ts'

void test('of each partition the highest offset counts, in whatever order acknowledgements come', () => {
  const last = new LastAcked()
  last.addAll([
    { partition: 1, offset: 7, id: 'b' },
    { partition: 0, offset: 3, id: 'a' },
    { partition: 1, offset: 6, id: 'c' },
  ])
  last.add({ partition: 0, offset: 4, id: 'd' })
  assert.deepEqual(last.all(), [
    { partition: 0, offset: 4, id: 'd' },
    { partition: 1, offset: 7, id: 'b' },
  ])
})
