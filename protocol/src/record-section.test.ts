import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMqError } from './errors.ts'
import { type MessageSections, prepareMessage } from './message.ts'
import { groupId, offset, partitionNumber, producerId, topicId } from './numbers.ts'
import { flags, recordFields } from './record-layout.ts'
import { sectionOf, sourceOf } from './record-section.ts'
import { encodeSource, type RecordSource } from './record-source.ts'
import { RecordWriter } from './record-writer.ts'
import { RecordView } from './record.ts'

const source: RecordSource = {
  cause: 'nack',
  attempts: 3,
  groupId: groupId(7),
  topicId: topicId(5),
  partition: partitionNumber(2),
  expiries: 1,
  settles: 41,
  offset: offset(40),
  firstAppendedAt: 5_000,
  fingerprint: 9,
  generation: 2,
  at: 6_000,
}
const all: MessageSections = {
  deliverAt: 1,
  tag: 'tag',
  key: 'key',
  headers: { a: 'b' },
  dedupId: 'id',
  history: Uint8Array.of(1, 2),
  delayMs: 5,
  source: encodeSource(source),
}

function record(sections: MessageSections): RecordView {
  const prepared = prepareMessage(sections, 'value')
  const bytes = new Uint8Array(prepared.recordBytes)
  new RecordWriter(bytes).message(0, prepared, {
    kind: 'message',
    topicId: topicId(1),
    partition: partitionNumber(0),
    producerId: producerId(0),
    producerEpoch: 0,
    runCount: 1,
    runBase: 0,
    messageId: new Uint8Array(16),
  })
  return new RecordView(bytes)
}

function text(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes)
}

void test('each section is found among all others', () => {
  const view = record(all)
  const told = [flags.tag, flags.key, flags.dedupId].map((flag) => text(sectionOf(view, flag)))
  assert.deepEqual(told, ['tag', 'key', 'id'])
  assert.deepEqual(sectionOf(view, flags.history), Uint8Array.of(1, 2))
  assert.equal(sectionOf(view, flags.deliverAt)?.[0], 1)
  assert.equal(sectionOf(view, flags.delay)?.[0], 5)
  assert.deepEqual(sourceOf(view), source)
})

void test('a section that a record does not have is not found', () => {
  const view = record({ key: 'key' })
  assert.equal(sectionOf(view, flags.tag), undefined)
  assert.equal(sourceOf(view), undefined)
  assert.equal(text(sectionOf(view, flags.key)), 'key')
})

void test('what the producer wrote into other sections is not looked at', () => {
  const view = record(all)
  sectionOf(view, flags.headers)?.fill(0xff)
  assert.deepEqual(sourceOf(view), source)
})

void test('a section that reaches beyond its record is refused', () => {
  const view = record({ tag: 'tag', key: 'key' })
  new DataView(view.bytes.buffer).setUint16(recordFields.bodyLength + 4, 60_000, true)
  for (const flag of [flags.tag, flags.key])
    assert.throws(
      () => sectionOf(view, flag),
      (error: unknown) => isMqError(error, 'corrupt_record'),
    )
})
