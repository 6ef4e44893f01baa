import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from '@popmq/kit/checksum'
import { decodeBody, encodeBodyHead, requestBodyLimits } from './body.ts'
import { errorNumber } from './errors.ts'
import { errorFrameType, frameHeaderBytes, readFrames, writeFrameHeader } from './frame.ts'
import { golden, hexOf } from './golden.ts'
import { decodeHistory, encodeHistory } from './history.ts'
import { bornAt, formatMessageId } from './message-id.ts'
import { prepareMessage, readSections } from './message.ts'
import { decodeValue } from './value.ts'
import { epoch, firstHeldNumber, groupId, logPosition, offset } from './numbers.ts'
import { partitionNumber, producerId, topicId } from './numbers.ts'
import { marks, recordFixedBytes } from './record-layout.ts'
import { decodeSource, encodeSource, parseFingerprint } from './record-source.ts'
import { RecordWriter } from './record-writer.ts'
import { RecordView } from './record.ts'
import { hello } from './requests/hello.ts'
import { produce } from './requests/produce.ts'

const bornAtMs = Date.UTC(2026, 0, 1)
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const bytesOf = (name: keyof typeof golden): Uint8Array =>
  Uint8Array.from(Buffer.from(hexOf(golden[name]), 'hex'))

function frame(
  header: { type: number; correlationId: number },
  fields: object,
  slice: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const head = encodeBodyHead(fields, slice.length, frameHeaderBytes)
  writeFrameHeader(head, { ...header, bodyBytes: head.length - frameHeaderBytes + slice.length })
  return Uint8Array.from([...head, ...slice])
}

function sentRecord(): Uint8Array {
  const message = prepareMessage(
    { tag: 'eu', key: 'o-17', headers: { trace: 'abc' }, dedupId: 'd-1' },
    { total: 42 },
  )
  const bytes = new Uint8Array(message.recordBytes)
  const writer = new RecordWriter(bytes)
  writer.message(0, message, {
    topicId: topicId(3),
    partition: partitionNumber(5),
    kind: 'message',
    producerId: producerId(9),
    producerEpoch: 1,
    runCount: 1,
    runBase: 16,
    messageId: Uint8Array.from(Buffer.from('019b76daa80070008123456789abcdef', 'hex')),
  })
  writer.seal(0, crc32)
  return bytes
}

void test('the golden frames are what is written', () => {
  const header = new Uint8Array(frameHeaderBytes)
  writeFrameHeader(header, { type: produce.type, correlationId: 8, bodyBytes: 197 })
  assert.equal(hex(header), hexOf(golden.frame_header))
  const greeting = frame(
    { type: hello.type, correlationId: 1 },
    { client: 'docs', lowestVersion: 1, highestVersion: 1 },
  )
  assert.equal(hex(greeting), hexOf(golden.hello_request))
  const error = { error: errorNumber('topic_not_found'), what: 'topic "orders" does not exist' }
  assert.equal(hex(frame({ type: errorFrameType, correlationId: 7 }, error)), hexOf(golden.error))
  const run = { topicId: topicId(3), partition: partitionNumber(5), bytes: 138, count: 1 }
  const request = frame(
    { type: produce.type, correlationId: 8 },
    { acks: 'disk', runs: [run] },
    sentRecord(),
  )
  assert.equal(hex(request), hexOf(golden.produce_request))
})

void test('the golden frames are what is read', () => {
  const [frameRead] = readFrames(bytesOf('produce_request'))
  assert.ok(frameRead !== undefined)
  assert.deepEqual(
    [frameRead.version, frameRead.type, frameRead.correlationId],
    [1, produce.type, 8],
  )
  const { fields, bytes } = decodeBody(frameRead.body, requestBodyLimits)
  const run = { topicId: 3, partition: 5, bytes: 138, count: 1 }
  assert.deepEqual(produce.request(fields, ''), { acks: 'disk', runs: [run] })
  assert.equal(hex(bytes), hexOf(golden.sent_record))
})

void test('the golden records are what is written', () => {
  const bytes = sentRecord()
  assert.equal(hex(bytes), hexOf(golden.sent_record))
  new RecordView(bytes).patch({
    position: logPosition(4_096),
    offset: offset(1_000),
    appendedAt: bornAtMs,
    marks: marks.lastOfRun,
    leaderEpoch: epoch(6),
    syncedPosition: logPosition(4_000),
  })
  assert.equal(hex(bytes), hexOf(golden.stored_record))
})

void test('the golden record is what is read', () => {
  const record = new RecordView(bytesOf('stored_record'))
  assert.ok(record.fits(record.bytes.length) && record.crcHolds(crc32) && record.foldHolds())
  assert.deepEqual(readSections(record), {
    tag: 'eu',
    key: 'o-17',
    headers: { trace: 'abc' },
    dedupId: 'd-1',
  })
  assert.deepEqual(decodeValue(record.flags, record.body), { total: 42 })
  assert.equal(formatMessageId(record.messageId), '019b76da-a800-7000-8123-456789abcdef')
  assert.equal(bornAt(record.messageId), bornAtMs)
  assert.deepEqual(
    [record.position, record.offset, record.appendedAt, record.syncedBack],
    [4_096, 1_000, bornAtMs, 96],
  )
})

void test('the golden sections are what is written and read', () => {
  const sections = {
    deliverAt: bornAtMs,
    tag: 'eu',
    key: 'o-17',
    headers: { trace: 'abc' },
    dedupId: 'd-1',
    history: Uint8Array.of(0xa0, 0xb0),
    delayMs: 5_000,
    source: Uint8Array.of(0xc0, 0xd0, 0xe0),
  }
  const message = prepareMessage(sections, '')
  const bytes = new Uint8Array(message.recordBytes)
  new RecordWriter(bytes).message(0, message, {
    topicId: topicId(3),
    partition: partitionNumber(5),
    kind: 'delayed',
    producerId: producerId(9),
    producerEpoch: 1,
    runCount: 1,
    runBase: 16,
    messageId: new Uint8Array(16),
  })
  assert.equal(hex(bytes.subarray(recordFixedBytes)), hexOf(golden.sections))
  assert.deepEqual(readSections(new RecordView(bytes)), sections)
})

void test('the golden source is what is written and read', () => {
  const source = {
    cause: 'nack',
    attempts: 3,
    groupId: groupId(7),
    topicId: topicId(3),
    partition: partitionNumber(5),
    expiries: 1,
    settles: firstHeldNumber + 41,
    offset: offset(1_000),
    firstAppendedAt: bornAtMs,
    fingerprint: parseFingerprint('00c0ffee00aa') ?? 0,
    generation: 2,
    at: bornAtMs + 60_000,
  } as const
  assert.equal(hex(encodeSource(source)), hexOf(golden.source))
  assert.deepEqual(decodeSource(bytesOf('source')), source)
})

void test('the golden history is what is written and read', () => {
  const attempt = {
    n: 1,
    at: bornAtMs,
    consumer: 'w1',
    heldMs: 250,
    outcome: 'nack',
    fingerprint: '00c0ffee00aa',
    error: { type: 'TypeError', message: 'no total' },
  } as const
  assert.equal(hex(encodeHistory([attempt])), hexOf(golden.history))
  assert.deepEqual(decodeHistory(bytesOf('history')), [attempt])
})
