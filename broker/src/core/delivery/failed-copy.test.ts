import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from '@popmq/kit/checksum'
import {
  decodeHistory,
  encodeSource,
  epoch,
  firstHeldNumber,
  flags,
  formatFingerprint,
  groupId,
  limits,
  logPosition,
  type MessageSections,
  type Offset,
  offset,
  partitionNumber,
  prepareMessage,
  producerId,
  readSections,
  type RecordKind,
  recordFixedBytes,
  recordKinds,
  RecordView,
  RecordWriter,
  sectionOf,
  sectionsHold,
  sourceOf,
  topicId,
  type TopicId,
} from '@popmq/protocol'
import { type FailedAttempt, failedCopy, type FailedMessage, originOf } from './failed-copy.ts'
import { fingerprint } from './fingerprint.ts'

const group = groupId(7)
const toDead = { to: 'dead', deadTopicId: topicId(900), setId: 3 } as const
const toRetry = { to: 'retry', dueAt: 60_000 } as const
const error = { type: 'TypeError', message: 'x is 17', stack: 'at pay (/app/src/pay.js:1:2)' }

/** A record as it lies in the log at 5,000 ms. */
function placed(bytes: Uint8Array, at: number, appendedAt = 5_000): RecordView {
  const view = new RecordView(bytes)
  view.patch({
    position: logPosition(4_096),
    offset: at as Offset,
    appendedAt,
    marks: 0,
    leaderEpoch: epoch(1),
    syncedPosition: logPosition(0),
  })
  return view
}

function message(sections: MessageSections = {}, value: unknown = { total: 17 }): RecordView {
  const prepared = prepareMessage(sections, value)
  const bytes = new Uint8Array(prepared.recordBytes)
  const writer = new RecordWriter(bytes)
  const messageId = Uint8Array.from({ length: 16 }, (_, index) => index)
  const place = {
    topicId: topicId(5),
    partition: partitionNumber(2),
    kind: 'message' as RecordKind,
  }
  const run = { producerId: producerId(9), producerEpoch: 4, runCount: 3, runBase: 8 }
  writer.message(0, prepared, { ...place, ...run, messageId })
  writer.seal(0, crc32)
  return placed(bytes, 41)
}

function attempt(n: number, change: Partial<FailedAttempt> = {}): FailedAttempt {
  return { n, at: 6_000 + n, consumer: 'till-1', heldMs: 20, outcome: 'nack', error, ...change }
}

function copied(change: Partial<FailedMessage> & Pick<FailedMessage, 'original'>): RecordView {
  const base = { settles: 41, groupId: group, generation: 2, now: 7_000, attempts: [attempt(1)] }
  const bytes = failedCopy({ ...base, verdict: toRetry, ...change }, crc32)
  const view = placed(bytes, change.verdict?.to === 'dead' ? 12 : firstHeldNumber + 6, 7_000)
  assert.ok(view.fits(bytes.length) && view.end === bytes.length)
  assert.ok(view.crcHolds(crc32) && sectionsHold(view))
  return view
}

function historyOf(record: RecordView) {
  return decodeHistory(sectionOf(record, flags.history) ?? new Uint8Array(0))
}

const sections = { tag: 'vip', key: 'ann', headers: { a: '1' }, dedupId: 'once' }

void test('a retry keeps the message and tells where it was first', () => {
  const original = message(sections)
  const copy = copied({ original })
  assert.deepEqual(
    [copy.kind, copy.topicId, copy.partition, copy.attempt],
    [recordKinds.retry, 5, 2, 1],
  )
  assert.deepEqual([copy.producerId, copy.runCount, copy.runBase], [0, 1, 0])
  assert.deepEqual(copy.messageId, original.messageId)
  assert.deepEqual(copy.body, original.body)
  const { history, source, ...kept } = readSections(copy)
  assert.deepEqual(kept, { ...sections, deliverAt: 60_000 })
  assert.ok(history !== undefined && source !== undefined)
  assert.deepEqual(sourceOf(copy), {
    cause: 'nack',
    attempts: 1,
    groupId: group,
    topicId: 5,
    partition: 2,
    expiries: 0,
    settles: 41,
    offset: 41,
    firstAppendedAt: 5_000,
    fingerprint: fingerprint(error, 'nack'),
    generation: 2,
    at: 7_000,
  })
})

void test('a dead letter of a retry goes to the dead letters, and tells of the first copy still', () => {
  const retry = copied({ original: message(sections) })
  const settles = firstHeldNumber + 6
  const letter = copied({
    original: retry,
    settles,
    attempts: [attempt(2)],
    verdict: toDead,
    now: 9_000,
  })
  assert.deepEqual(
    [letter.kind, letter.topicId, letter.partition, letter.attempt],
    [recordKinds.dead, 900, 3, 2],
  )
  const { source: _source, history: _history, ...kept } = readSections(letter)
  assert.deepEqual(kept, sections)
  const source = sourceOf(letter)
  assert.deepEqual(
    [source?.topicId, source?.partition, source?.offset, source?.firstAppendedAt],
    [5, 2, 41, 5_000],
  )
  assert.deepEqual([source?.attempts, source?.settles, source?.at], [2, settles, 9_000])
  const told = { fingerprint: formatFingerprint(fingerprint(error, 'nack')) }
  assert.deepEqual(historyOf(letter), [
    { ...attempt(1), ...told },
    { ...attempt(2), ...told },
  ])
})

void test('leases that expired in place are told one by one, and counted', () => {
  const { error: _none, ...silent } = attempt(1, { outcome: 'expired' })
  const attempts = [silent, { ...silent, n: 2 }, { ...silent, n: 3 }]
  const retry = copied({ original: message(), attempts })
  assert.deepEqual(historyOf(retry), attempts)
  const source = sourceOf(retry)
  assert.deepEqual(
    [source?.cause, source?.attempts, source?.expiries, source?.fingerprint],
    ['expired', 3, 3, 0],
  )
  const again = copied({
    original: retry,
    attempts: [attempt(4, { outcome: 'rejected' })],
    verdict: toDead,
  })
  const last = sourceOf(again)
  assert.deepEqual([last?.cause, last?.attempts, last?.expiries], ['rejected', 4, 3])
  assert.deepEqual(originOf(retry), {
    topicId: 5,
    partition: 2,
    offset: 41,
    firstAppendedAt: 5_000,
    attempts: 3,
    expiries: 3,
  })
})

void test('deliveries whose history was lost count too', () => {
  const copy = copied({ original: message(), attempts: [attempt(4)] })
  assert.equal(sourceOf(copy)?.attempts, 4)
})

void test('an operator gives up a retry without a further delivery', () => {
  const retry = copied({ original: message() })
  const letter = copied({
    original: retry,
    attempts: [],
    verdict: { ...toDead, isByOperator: true },
  })
  const source = sourceOf(letter)
  assert.deepEqual([source?.cause, source?.attempts], ['operator', 1])
  assert.equal(source?.fingerprint, fingerprint(error, 'nack'))
  assert.equal(historyOf(letter).length, 1)
})

void test('a message that was delayed is first where it became visible', () => {
  const source = encodeSource({
    cause: 'due',
    attempts: 0,
    groupId: groupId(0),
    topicId: topicId(5),
    partition: partitionNumber(2),
    expiries: 0,
    settles: firstHeldNumber,
    offset: firstHeldNumber as Offset,
    firstAppendedAt: 1,
    fingerprint: 5,
    generation: 0,
    at: 1,
  })
  const visible = message({ source })
  assert.deepEqual([originOf(visible).offset, originOf(visible).firstAppendedAt], [41, 5_000])
  const copy = sourceOf(copied({ original: visible, attempts: [attempt(1)] }))
  assert.deepEqual([copy?.offset, copy?.attempts, copy?.cause], [41, 1, 'nack'])
})

void test('a history that cannot be read, and headers that are none, do not stop a message', () => {
  const retry = copied({ original: message({ headers: { a: '1' } }) })
  const history = sectionOf(retry, flags.history)
  const headers = sectionOf(retry, flags.headers)
  history?.fill(0xff)
  headers?.fill(0xff)
  const letter = copied({ original: retry, attempts: [attempt(2)], verdict: toDead })
  assert.deepEqual(
    historyOf(letter).map(({ n }) => n),
    [2],
  )
  assert.equal(sourceOf(letter)?.attempts, 2)
  assert.deepEqual(sectionOf(letter, flags.headers), headers)
})

void test('a record may stand anywhere in a block', () => {
  const { bytes } = message(sections)
  const block = new Uint8Array(bytes.length + 100)
  block.set(bytes, 60)
  const original = new RecordView(block).move(block, 60)
  assert.deepEqual(copied({ original }).bytes, copied({ original: message(sections) }).bytes)
})

/** The longest sections that a message may have. */
function maximal(): MessageSections {
  const room = limits.headersBytes - 20
  return {
    tag: 't'.repeat(limits.tagBytes),
    key: 'k'.repeat(limits.keyBytes),
    headers: { h: 'v'.repeat(room) },
    dedupId: 'd'.repeat(limits.dedupIdBytes),
  }
}

void test('a maximal message that fails sixteen times stays within what a record may add', () => {
  const worst = {
    type: 'T'.repeat(limits.errorTypeBytes),
    message: 'é'.repeat(limits.errorBytes / 2),
    stack: 's'.repeat(limits.errorBytes),
  }
  const consumer = 'c'.repeat(limits.errorTypeBytes)
  let record = message(maximal(), new Uint8Array(1_000))
  for (let n = 1; n <= 16; n += 1) {
    const verdict = n === 16 ? toDead : toRetry
    const attempts = [attempt(n, { consumer, error: { ...worst, type: worst.type.slice(n) } })]
    record = copied({ original: record, attempts, verdict })
    assert.ok(record.length - record.bodyLength <= limits.recordOverheadBytes)
    assert.ok(record.length - record.bodyLength > recordFixedBytes)
  }
  const told = historyOf(record)
  assert.deepEqual(
    told.map(({ n }) => n),
    Array.from({ length: 16 }, (_, index) => index + 1),
  )
  assert.equal(told[0]?.error?.stack, worst.stack)
  assert.equal(told[15]?.error?.message, worst.message)
  assert.equal(sourceOf(record)?.attempts, 16)
})

void test('a message that fails more than 255 times is counted in its source', () => {
  const copy = copied({ original: message(), attempts: [attempt(300)] })
  assert.deepEqual([copy.attempt, sourceOf(copy)?.attempts], [255, 300])
})

void test('the dead letters of a set are a partition of its number', () => {
  const deadTopicId: TopicId = topicId(901)
  const letter = copied({ original: message(), verdict: { to: 'dead', deadTopicId, setId: 1_023 } })
  assert.deepEqual([letter.topicId, letter.partition, offset(letter.offset)], [901, 1_023, 12])
})
