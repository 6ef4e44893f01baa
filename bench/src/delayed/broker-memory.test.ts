import assert from 'node:assert/strict'
import { test } from 'node:test'
import { growthPerMessage, parseMemory } from './broker-memory.ts'

const page = (rss: number, delayed: number): string =>
  [
    `process_resident_memory_bytes ${rss}`,
    `nodejs_heap_size_used_bytes ${rss / 4}`,
    'nodejs_external_memory_bytes 500',
    `popmq_broker_delayed_messages ${delayed}`,
  ].join('\n')

void test('memory is told of all brokers together, and grows by so much for each pending message', () => {
  const before = parseMemory([page(8_000, 1), page(4_000, 2)])
  assert.deepEqual(before, { rssBytes: 12_000, usedBytes: 4_000, delayed: 3 })
  const pending = parseMemory([page(16_000, 51), page(8_000, 52)])
  assert.deepEqual(growthPerMessage(before, pending), { rssBytes: 120, usedBytes: 30 })
})
