import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from '@popmq/kit/checksum'
import { SeededRandom } from '@popmq/kit/testing'
import fc from 'fast-check'
import { encodeFields } from './body.ts'
import { isMqError } from './errors.ts'
import { hash32, tagHash } from './hash.ts'
import { limits } from './limits.ts'
import { prepareMessage, readSections, sectionsHold } from './message.ts'
import { decodeValue } from './value.ts'
import { epoch, logPosition, offset, partitionNumber, producerId, topicId } from './numbers.ts'
import { flags, recordFixedBytes } from './record-layout.ts'
import { RecordWriter } from './record-writer.ts'
import { RecordView } from './record.ts'

const destination = {
  topicId: topicId(2 ** 32 - 1),
  partition: partitionNumber(1_023),
  kind: 'message',
  producerId: producerId(2 ** 48 - 1),
  producerEpoch: 65_535,
  runCount: 65_535,
  runBase: 2 ** 32 - 1,
  messageId: new SeededRandom(1).fill(new Uint8Array(16)),
} as const

function recordOf(
  sections: Parameters<typeof prepareMessage>[0],
  value: unknown,
  start = 0,
): RecordView {
  const message = prepareMessage(sections, value)
  const bytes = new Uint8Array(start + message.recordBytes)
  const writer = new RecordWriter(bytes)
  assert.equal(writer.message(start, message, destination), bytes.length)
  writer.seal(start, crc32)
  return new RecordView().move(bytes, start)
}

function place(record: RecordView, position = 2 ** 53 - 1): RecordView {
  record.patch({
    position: logPosition(position),
    offset: offset(2 ** 53 - 2),
    appendedAt: 2 ** 48 - 1,
    marks: 3,
    leaderEpoch: epoch(2 ** 32 - 1),
    syncedPosition: logPosition(0),
  })
  return record
}

const isWhole = (record: RecordView, limit: number): boolean =>
  record.fits(limit) && record.crcHolds(crc32) && record.foldHolds()

const word = fc.string({ unit: 'grapheme', maxLength: 40 })
const messages = fc.record(
  {
    tag: word,
    key: word,
    headers: fc.dictionary(
      word.filter((name) => name !== '__proto__'),
      word,
      { maxKeys: 5, noNullPrototype: true },
    ),
    dedupId: fc.string({ unit: 'grapheme', maxLength: 10 }),
    deliverAt: fc.nat(2 ** 48 - 1),
    delayMs: fc.nat(limits.delayMs),
    history: fc.uint8Array({ maxLength: 300 }),
    source: fc.uint8Array({ maxLength: 100 }),
  },
  { requiredKeys: [], noNullPrototype: true },
)
const values = fc.oneof(
  fc.uint8Array(),
  fc.string({ unit: 'grapheme' }),
  fc.jsonValue({ noUnicodeString: false }),
)

void test('a record gives back the message it was made of', () => {
  fc.assert(
    fc.property(messages, values, fc.nat(100), (sections, value, start) => {
      const record = place(recordOf(sections, value, start))
      assert.ok(isWhole(record, record.bytes.length))
      assert.ok(sectionsHold(record))
      assert.deepEqual(readSections(record), sections)
      const expected =
        typeof value === 'string' || value instanceof Uint8Array
          ? value
          : JSON.parse(JSON.stringify(value))
      assert.deepEqual(decodeValue(record.flags, record.body), expected)
      assert.equal(record.tagHash, sections.tag === undefined ? 0 : tagHash(sections.tag))
      assert.equal(
        record.keyHash,
        sections.key === undefined ? 0 : hash32(new TextEncoder().encode(sections.key)),
      )
    }),
  )
})

void test('every number of the fixed part keeps its largest value', () => {
  const record = place(recordOf({}, 'x'))
  assert.deepEqual(
    [
      record.topicId,
      record.partition,
      record.producerId,
      record.producerEpoch,
      record.runCount,
      record.runBase,
    ],
    [2 ** 32 - 1, 1_023, 2 ** 48 - 1, 65_535, 65_535, 2 ** 32 - 1],
  )
  assert.deepEqual(
    [
      record.position,
      record.offset,
      record.appendedAt,
      record.marks,
      record.leaderEpoch,
      record.syncedBack,
    ],
    [2 ** 53 - 1, 2 ** 53 - 2, 2 ** 48 - 1, 3, 2 ** 32 - 1, 2 ** 32 - 1],
  )
  assert.deepEqual(record.messageId, destination.messageId)
  assert.equal(record.end, recordFixedBytes + 1)
})

void test('any single flipped bit of a record shows', () => {
  const sections = { tag: 'eu', key: 'o-17', headers: { trace: 'abc', '': '' }, dedupId: 'd-1' }
  const record = place(recordOf(sections, { total: 42, text: 'x'.repeat(200) }), 4_096)
  // Bytes of another record follow: a length that grew finds something to read.
  const bytes = Uint8Array.from([...record.bytes, ...record.bytes, ...record.bytes])
  const flipped = new RecordView(bytes)
  assert.ok(isWhole(flipped, bytes.length))
  for (let bit = 0; bit < record.end * 8; bit += 1) {
    const [at, mask] = [bit >> 3, 1 << (bit & 7)]
    bytes[at] = (bytes[at] ?? 0) ^ mask
    assert.ok(!isWhole(flipped, bytes.length), `bit ${bit & 7} of byte ${at}`)
    bytes[at] = (bytes[at] ?? 0) ^ mask
  }
  assert.ok(isWhole(flipped, bytes.length))
})

void test('a record does not fit where its end, or its fixed part, is missing', () => {
  const record = recordOf({ tag: 'eu' }, 'body')
  for (let limit = 0; limit < record.end; limit += 1) assert.equal(record.fits(limit), false)
  assert.equal(record.fits(record.end), true)
  const view = new DataView(record.bytes.buffer)
  for (const length of [0, 95, 2 ** 32 - 1]) {
    view.setUint32(0, length, true)
    assert.equal(record.fits(record.bytes.length), false, String(length))
  }
})

void test('sections that do not add up, or hold what they must not, are a corrupt record', () => {
  const isCorrupt = (error: unknown): boolean => isMqError(error, 'corrupt_record')
  const withHeaders = (headers: Uint8Array): RecordView => {
    const message = {
      ...prepareMessage({}, ''),
      headers,
      flags: flags.headers | 1,
      recordBytes: recordFixedBytes + 4 + headers.length,
    }
    const bytes = new Uint8Array(message.recordBytes)
    new RecordWriter(bytes).message(0, message, destination)
    return new RecordView(bytes)
  }
  assert.deepEqual(readSections(withHeaders(encodeFields({ a: 'b' }))), { headers: { a: 'b' } })
  const nasty = [
    encodeFields({ a: 1 }),
    encodeFields({ a: {} }),
    encodeFields([]),
    encodeFields({}).fill(0xff),
    Uint8Array.of(),
    Uint8Array.of(0xa0, 0),
  ]
  for (const headers of nasty)
    assert.throws(
      () => readSections(withHeaders(headers)),
      isCorrupt,
      Buffer.from(headers).toString('hex'),
    )
  for (let extra = 4; extra < 12; extra += 1) {
    const record = recordOf({ tag: 'eu', key: 'k', dedupId: 'd' }, 'body')
    new DataView(record.bytes.buffer).setUint16(52, record.flags ^ (1 << extra), true)
    assert.throws(() => readSections(record), isCorrupt, `flag ${extra}`)
    assert.equal(sectionsHold(record), false)
  }
})

void test('a message beyond a limit is refused with the name of the section', () => {
  const many = Object.fromEntries(
    Array.from({ length: limits.keysPerMap + 1 }, (_, index) => [`h${index}`, '']),
  )
  const refused: [Parameters<typeof prepareMessage>[0], RegExp][] = [
    [{ tag: 'x'.repeat(limits.tagBytes + 1) }, /^tag of 257 bytes/],
    [{ key: 'é'.repeat(limits.keyBytes / 2 + 1) }, /^key of 1026 bytes/],
    [{ dedupId: 'x'.repeat(limits.dedupIdBytes + 1) }, /^dedupId of 129 bytes/],
    [{ deliverAt: 2 ** 48 }, /^deliverAt must be a whole number/],
    [{ deliverAt: 0.5 }, /^deliverAt must be a whole number/],
    [{ delayMs: limits.delayMs + 1 }, /^delayMs must be a whole number/],
    [{ delayMs: -1 }, /^delayMs must be a whole number/],
    [{ key: '\ud800' }, /^key must be well-formed/],
    [{ headers: { a: 'x'.repeat(limits.headersBytes) } }, /^headers of/],
    [{ headers: { a: '\udc00' } }, /^header "a" must be well-formed/],
    [{ headers: many }, /^65 headers/],
    [{ headers: JSON.parse('{"__proto__":"x"}') as Record<string, string> }, /__proto__/],
  ]
  for (const [sections, what] of refused) {
    assert.throws(
      () => prepareMessage(sections, ''),
      (error) => isMqError(error, 'invalid_request') && what.test(error.what),
      String(what),
    )
  }
  for (const value of [undefined, () => 1, 1n, Symbol('x')]) {
    assert.throws(
      () => prepareMessage({}, value),
      (error) => isMqError(error, 'invalid_request'),
    )
  }
  const cycle: unknown[] = []
  cycle.push(cycle)
  assert.throws(
    () => prepareMessage({}, cycle),
    (error) => isMqError(error, 'invalid_request'),
  )
})

void test('hashes are part of the wire: these never change', () => {
  const encode = (text: string): Uint8Array => new TextEncoder().encode(text)
  assert.equal(hash32(encode('')), 0xab3e7c0b)
  assert.equal(hash32(encode('o-17')), 0x20164e71)
  assert.equal(tagHash('eu'), 0x0600b2ce)
})
