import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from '@popmq/kit/checksum'
import fc from 'fast-check'
import { copyRecord, encodeSource, epoch, firstHeldNumber, groupId } from '@popmq/protocol'
import { logPosition, offset, partitionNumber, type PoppedRun } from '@popmq/protocol'
import { prepareMessage, producerId, RecordView, RecordWriter, topicId } from '@popmq/protocol'
import { parseHandle } from './handle.ts'
import { readPopped } from './pop-reply.ts'

const place = { topicId: topicId(3), partition: partitionNumber(5) }
const deps = { crc32, nameOf: (id: number) => (id === 3 ? 'orders' : undefined) }
const placed = { position: logPosition(0), syncedPosition: logPosition(0), marks: 0 }

function record(at: number): Uint8Array {
  const message = prepareMessage({ key: `k${at}` }, { at })
  const bytes = new Uint8Array(message.recordBytes)
  const run = { producerId: producerId(1), producerEpoch: 0, runCount: 1, runBase: 0 }
  const head = { ...run, ...place, kind: 'message', messageId: new Uint8Array(16) } as const
  new RecordWriter(bytes).message(0, message, head)
  new RecordWriter(bytes).seal(0, crc32)
  const rest = { appendedAt: 1_000 + at, leaderEpoch: epoch(1), offset: offset(at) }
  new RecordView(bytes).patch({ ...placed, ...rest })
  return bytes
}

function retryOf(at: number, number: number): Uint8Array {
  const source = encodeSource({
    ...{ cause: 'nack', attempts: 3, groupId: groupId(1), ...place, expiries: 0, settles: at },
    ...{ offset: offset(at), firstAppendedAt: 1_000 + at, fingerprint: 0, generation: 1, at: 9 },
  })
  const head = { kind: 'retry', ...place, attempt: 3, source } as const
  const bytes = copyRecord(new RecordView(record(at)), head, crc32)
  const rest = { appendedAt: 5_000, leaderEpoch: epoch(1), offset: offset(number) }
  new RecordView(bytes).patch({ ...placed, ...rest })
  return bytes
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

function runOf(records: readonly Uint8Array[], changes: Partial<PoppedRun> = {}): PoppedRun {
  const bytes = records.reduce((sum, { length }) => sum + length, 0)
  const lease = Uint8Array.of(1, 2, 3)
  return { ...place, lease, attempt: 4, count: records.length, bytes, until: 77, ...changes }
}

void test('messages and retries are told as they were sent, with what they are settled by', () => {
  const records = [record(7), retryOf(2, firstHeldNumber + 6)]
  const { messages, error } = readPopped({ runs: [runOf(records)], bytes: joined(records) }, deps)
  assert.equal(error, undefined)
  const told = messages.map((each) => {
    const { topic, partition, attempt, key, value, appendedAt, leasedUntil } = each
    return [topic, partition, each.offset, attempt, key, value, appendedAt, leasedUntil]
  })
  assert.deepEqual(told, [
    ['orders', 5, 7, 4, 'k7', { at: 7 }, 1_007, 77],
    ['orders', 5, 2, 4, 'k2', { at: 2 }, 1_002, 77],
  ])
  const lease = 'AQID'
  assert.deepEqual(
    messages.map(({ handle }) => parseHandle(handle)),
    [
      { ...place, number: 7, lease },
      { ...place, number: firstHeldNumber + 6, lease },
    ],
  )
})

void test('a flipped byte is never delivered, and other runs are', () => {
  const [first, second] = [[record(0), retryOf(1, firstHeldNumber)], [record(2)]]
  const clean = joined([...first, ...second])
  const runs = [runOf(first), runOf(second)]
  fc.assert(
    fc.property(fc.nat(clean.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const bytes = Uint8Array.from(clean)
      bytes[at] = (bytes[at] ?? 0) ^ change
      const { messages, error } = readPopped({ runs, bytes }, deps)
      assert.equal(error?.name, 'corrupt_record')
      assert.ok(messages.length <= 2)
      const isInSecond = at >= clean.length - (runs[1]?.bytes ?? 0)
      assert.equal(messages.at(-1)?.offset === 2, !isInSecond)
      for (const each of messages) assert.deepEqual(each.value, { at: each.offset })
    }),
    { numRuns: 300 },
  )
})

void test('what does not belong to the run is corrupt', () => {
  const records = [record(0)]
  const bytes = joined(records)
  const wrong = (changes: Partial<PoppedRun>): void => {
    const { messages, error } = readPopped({ runs: [runOf(records, changes)], bytes }, deps)
    assert.equal(error?.name, 'corrupt_record', JSON.stringify(changes))
    assert.ok(messages.length <= 1)
  }
  wrong({ partition: partitionNumber(4) })
  wrong({ topicId: topicId(4) })
  wrong({ count: 2 })
  wrong({ bytes: bytes.length - 1 })
  const two = [record(0), record(1)]
  const more = readPopped({ runs: [runOf(two, { count: 1 })], bytes: joined(two) }, deps)
  assert.equal(more.error?.name, 'corrupt_record')
})
