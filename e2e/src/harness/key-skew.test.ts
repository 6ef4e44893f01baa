import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asNdjson, skewedEvents } from './key-skew.ts'

void test('21,436 events have 875 keys, and five of these make 47 %', () => {
  const events = skewedEvents(1)
  const counts = new Map<string, number>()
  for (const { author } of events) counts.set(author, (counts.get(author) ?? 0) + 1)
  const sorted = [...counts.values()].toSorted((a, b) => b - a)
  assert.equal(events.length, 21_436)
  assert.equal(counts.size, 875)
  const head = sorted.slice(0, 5).reduce((sum, count) => sum + count, 0)
  assert.equal(Math.round((100 * head) / events.length), 47)
  assert.ok((sorted[5] ?? 0) < (sorted[4] ?? 0))
  assert.ok(sorted.at(-1) === 1 || (sorted.at(-1) ?? 0) < 10)
})

void test('ids are unique, lines are about 200 bytes, and a seed gives the same events', () => {
  const events = skewedEvents(2)
  assert.equal(new Set(events.map(({ id }) => id)).size, events.length)
  const bytes = Buffer.byteLength(asNdjson(events)) / events.length
  assert.ok(bytes > 150 && bytes < 250, `${bytes} bytes a line`)
  assert.deepEqual(skewedEvents(2), events)
  assert.notDeepEqual(skewedEvents(3), events)
})
