import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from '@popmq/kit/checksum'
import fc from 'fast-check'
import { epoch, logPosition, offset, partitionNumber, prepareMessage } from '@popmq/protocol'
import { producerId, RecordView, RecordWriter, topicId } from '@popmq/protocol'
import type { ReceivedMessage } from './received-message.ts'
import { RecordReader, tagFilter } from './record-reader.ts'

const place = { topic: 'orders', topicId: topicId(3), partition: 5 }

/** Records at the given offsets; the value says the offset. */
function records(
  offsets: readonly number[],
  tagOf: (at: number) => string | undefined,
): Uint8Array {
  const prepared = offsets.map((at) => {
    const tag = tagOf(at)
    return prepareMessage(tag === undefined ? {} : { tag }, at)
  })
  const bytes = new Uint8Array(prepared.reduce((sum, { recordBytes }) => sum + recordBytes, 0))
  const writer = new RecordWriter(bytes)
  const view = new RecordView()
  let start = 0
  prepared.forEach((message, index) => {
    const run = { producerId: producerId(1), producerEpoch: 0, runCount: 1, runBase: index }
    const to = { topicId: place.topicId, partition: partitionNumber(place.partition) }
    const head = { ...run, ...to, kind: 'message', messageId: new Uint8Array(16) } as const
    const end = writer.message(start, message, head)
    writer.seal(start, crc32)
    const nowhere = { position: logPosition(0), syncedPosition: logPosition(0) }
    const rest = { appendedAt: 1, marks: 0, leaderEpoch: epoch(1) }
    view.move(bytes, start).patch({ ...nowhere, ...rest, offset: offset(offsets[index] ?? 0) })
    start = end
  })
  return bytes
}

const noTag = (): undefined => undefined
const offsetsOf = (messages: ReceivedMessage[]): number[] => messages.map((each) => each.offset)

void test('however it is read, each offset from the one asked for comes once, in order', () => {
  const offsets = fc.array(fc.nat(30), { maxLength: 30 })
  fc.assert(
    fc.property(offsets, fc.nat(30), fc.integer({ min: 1, max: 7 }), (given, from, most) => {
      const bytes = records(given, noTag)
      const reader = new RecordReader(
        { ...place, bytes, from, next: 99 },
        { crc32, filter: undefined },
      )
      const messages: ReceivedMessage[] = []
      while (!reader.isDone) assert.equal(reader.read(messages, most), undefined)
      const expected: number[] = []
      for (const at of given) if (at >= from && at > (expected.at(-1) ?? -1)) expected.push(at)
      assert.deepEqual(offsetsOf(messages), expected)
      assert.deepEqual(
        messages.map(({ value }) => value),
        expected,
      )
      assert.equal(reader.position, 99)
    }),
  )
})

void test('a change of any byte is seen, named by its offset, and what lies before it is read', () => {
  const clean = records([4, 5, 6], noTag)
  fc.assert(
    fc.property(fc.nat(clean.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const bytes = Uint8Array.from(clean)
      bytes[at] = (bytes[at] ?? 0) ^ change
      const reader = new RecordReader(
        { ...place, bytes, from: 4, next: 7 },
        { crc32, filter: undefined },
      )
      const messages: ReceivedMessage[] = []
      const error = reader.read(messages, 10)
      const damaged = Math.floor(at / (clean.length / 3))
      assert.equal(error?.name, 'corrupt_record')
      assert.equal(error.facts['offset'], 4 + damaged)
      assert.deepEqual(offsetsOf(messages), [4, 5].slice(0, damaged))
    }),
    { numRuns: 500 },
  )
})

void test('whatever bytes come, reading ends with messages or an error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      const reader = new RecordReader(
        { ...place, bytes, from: 0, next: 1 },
        { crc32, filter: undefined },
      )
      const error = reader.read([], 10)
      assert.ok(bytes.length === 0 ? error === undefined : error?.name === 'corrupt_record')
    }),
  )
})

void test('only the tags asked for pass, compared as text', () => {
  const bytes = records([0, 1, 2, 3], (at) => ['a', 'b', undefined, 'a'][at])
  const filter = tagFilter(['a'])
  const deps = {
    crc32,
    filter: { ...filter, hashes: new Set([...filter.hashes, ...tagFilter(['b']).hashes]) },
  }
  const messages: ReceivedMessage[] = []
  new RecordReader({ ...place, bytes, from: 0, next: 4 }, deps).read(messages, 10)
  assert.deepEqual(offsetsOf(messages), [0, 3])
})

void test('a record of another partition is not delivered', () => {
  const bytes = records([0], noTag)
  const other = { ...place, partition: 6, bytes, from: 0, next: 1 }
  const error = new RecordReader(other, { crc32, filter: undefined }).read([], 10)
  assert.match(error?.message ?? '', /belongs to another partition/)
})
