import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sumOf } from './metrics-page.ts'

const page = (count: number): string =>
  [
    '# HELP popmq_broker_delayed_messages delayed messages of the replica set',
    `popmq_broker_delayed_messages ${count}`,
    'popmq_broker_delayed_messages_more 90',
    'process_resident_memory_bytes 1.5e3',
  ].join('\n')

void test('a metric is read by its whole name and summed over brokers', () => {
  assert.equal(sumOf('popmq_broker_delayed_messages', [page(2), page(40)]), 42)
  assert.equal(sumOf('process_resident_memory_bytes', [page(0)]), 1_500)
})

void test('a broker without the metric is a defect, not a zero', () => {
  assert.throws(() => sumOf('popmq_broker_delayed', [page(2)]), { name: 'internal' })
})
