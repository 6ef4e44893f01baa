import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from '@popmq/kit/checksum'
import { SeededRandom } from '@popmq/kit/testing'
import fc from 'fast-check'
import { prepareMessage, readSections, sectionsHold } from './message.ts'
import { decodeValue } from './value.ts'
import { epoch, logPosition, offset, partitionNumber, producerId, topicId } from './numbers.ts'
import { type CopyHead, copyRecord } from './record-copy.ts'
import { crcStart, recordKinds } from './record-layout.ts'
import { RecordWriter } from './record-writer.ts'
import { RecordView } from './record.ts'

const messageId = new SeededRandom(1).fill(new Uint8Array(16))

type Sections = Parameters<typeof prepareMessage>[0]

/** A record as it lies in the log, at `start` of some bytes. */
function stored(sections: Sections, value: unknown, start: number): RecordView {
  const message = prepareMessage(sections, value)
  const bytes = new Uint8Array(start + message.recordBytes + 10)
  const writer = new RecordWriter(bytes)
  writer.message(start, message, {
    kind: 'message',
    topicId: topicId(3),
    partition: partitionNumber(5),
    producerId: producerId(9),
    producerEpoch: 4,
    runCount: 7,
    runBase: 100,
    messageId,
  })
  writer.seal(start, crc32)
  const record = new RecordView().move(bytes, start)
  record.patch({
    position: logPosition(4_096),
    offset: offset(1_000),
    appendedAt: 1_767_225_600_000,
    marks: 3,
    leaderEpoch: epoch(6),
    syncedPosition: logPosition(0),
  })
  return record
}

const text = fc.string({ unit: 'grapheme', maxLength: 20 })
const part = fc.uint8Array({ maxLength: 40 })
const kept = {
  tag: text,
  key: text,
  headers: fc.dictionary(
    text.filter((name) => name !== '__proto__'),
    text,
    { maxKeys: 3, noNullPrototype: true },
  ),
  dedupId: fc.string({ unit: 'grapheme', maxLength: 10 }),
}
const replaced = {
  deliverAt: fc.nat(2 ** 48 - 1),
  delayMs: fc.nat(1_000_000),
  history: part,
  source: part,
}
const optional: { requiredKeys: []; noNullPrototype: true } = {
  requiredKeys: [],
  noNullPrototype: true,
}
const heads: fc.Arbitrary<CopyHead> = fc.record(
  {
    kind: fc.constantFrom('message', 'retry', 'dead'),
    topicId: fc.integer({ min: 1, max: 2 ** 32 - 1 }).map(topicId),
    partition: fc.nat(1_023).map(partitionNumber),
    attempt: fc.nat(1_000),
    deliverAt: fc.nat(2 ** 48 - 1),
    history: part,
    source: part,
  },
  {
    requiredKeys: ['kind', 'topicId', 'partition', 'attempt', 'source'],
    noNullPrototype: true,
  },
)

void test('a copy says of the message what the original says, and of itself what its head says', () => {
  fc.assert(
    fc.property(
      fc.record({
        sections: fc.record(kept, optional),
        own: fc.record(replaced, optional),
        value: text,
        start: fc.nat(50),
      }),
      heads,
      ({ sections, own, value, start }, head) => {
        const original = stored({ ...sections, ...own }, value, start)
        const bytes = copyRecord(original, head, crc32)
        const copy = new RecordView(bytes)
        assert.ok(copy.fits(bytes.length) && copy.length === bytes.length)
        assert.ok(copy.crcHolds(crc32) && sectionsHold(copy))
        const { kind, topicId: topic, partition, attempt, ...ownSections } = head
        assert.deepEqual(readSections(copy), { ...sections, ...ownSections })
        assert.deepEqual(
          [copy.kind, copy.topicId, copy.partition, copy.attempt],
          [recordKinds[kind], topic, partition, Math.min(attempt, 255)],
        )
        assert.equal(decodeValue(copy.flags, copy.body), value)
        assert.deepEqual(
          [copy.messageId, copy.tagHash, copy.keyHash],
          [messageId, original.tagHash, original.keyHash],
        )
      },
    ),
  )
})

void test('a copy is a run of its own, of no producer, and has no place yet', () => {
  const source = new Uint8Array(3)
  const head = { kind: 'retry', topicId: topicId(1), partition: partitionNumber(0) } as const
  const original = stored({ key: 'k' }, 'x', 7)
  const before = original.bytes.slice()
  const bytes = copyRecord(original, { ...head, attempt: 1, source }, crc32)
  const copy = new RecordView(bytes)
  assert.deepEqual([copy.producerId, copy.producerEpoch, copy.runCount, copy.runBase], [0, 0, 1, 0])
  assert.deepEqual(bytes.subarray(8, crcStart), new Uint8Array(crcStart - 8))
  assert.deepEqual(original.bytes, before, 'the original stays as it was')
})

void test('a copy of a copy has the history and the source of the last one alone', () => {
  const head = { kind: 'retry', topicId: topicId(1), partition: partitionNumber(0) } as const
  const copyOf = (record: RecordView, byte: number): RecordView => {
    const own = { history: Uint8Array.of(byte, byte), source: Uint8Array.of(byte) }
    const bytes = copyRecord(record, { ...head, attempt: byte, deliverAt: byte, ...own }, crc32)
    return new RecordView(bytes)
  }
  const twice = copyOf(copyOf(stored({ tag: 'eu' }, 'x', 0), 1), 2)
  assert.deepEqual(readSections(twice), {
    deliverAt: 2,
    tag: 'eu',
    history: Uint8Array.of(2, 2),
    source: Uint8Array.of(2),
  })
  assert.equal(twice.attempt, 2)
})
