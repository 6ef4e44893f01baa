import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cpuUsEach, parseWork, sumOfWork, workBetween } from './broker-work.ts'

function page(cpuSeconds: number, diskReadBytes: number, syncs = 0): string {
  return [
    '# TYPE process_cpu_seconds_total counter',
    `process_cpu_seconds_total ${cpuSeconds}`,
    `popmq_broker_disk_read_bytes ${diskReadBytes}`,
    `popmq_broker_log_syncs ${syncs}`,
  ].join('\n')
}

void test('work is told of all brokers together, as a difference, for each message', () => {
  const before = parseWork([page(1.5, 100, 3), page(2, 0)])
  const after = parseWork([page(3.5, 4_196, 5), page(4, 0, 40)])
  const work = workBetween(before, after)
  assert.deepEqual(work, { cpuSeconds: 4, diskReadBytes: 4_096, syncs: 42 })
  assert.equal(cpuUsEach(work, 1_000_000), 4)
  assert.deepEqual(sumOfWork([work, work]), { cpuSeconds: 8, diskReadBytes: 8_192, syncs: 84 })
  assert.deepEqual(sumOfWork([]), { cpuSeconds: 0, diskReadBytes: 0, syncs: 0 })
})

void test('a broker that does not tell its processor time is a defect, not idle', () => {
  assert.throws(() => parseWork(['popmq_broker_disk_read_bytes 1']), { name: 'internal' })
})
