import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  decodeBody,
  encodeBodyHead,
  encodeFields,
  replyBodyLimits,
  requestBodyLimits,
} from './body.ts'
import { isMqError } from './errors.ts'
import { limits } from './limits.ts'

const bytesOf = (hex: string): Uint8Array =>
  Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
/** A body whose map has one key, "a", with `value` given in hex. */
const withValue = (value: string | Uint8Array): Uint8Array =>
  Buffer.concat([
    bytesOf('82 a1 61 61'),
    typeof value === 'string' ? bytesOf(value) : value,
    bytesOf('40'),
  ])
const isMalformed = (error: unknown): boolean => isMqError(error, 'malformed_body')

/** Each is refused as `malformed_body`, fast and without memory of its own. */
const nastyBodies: [string, Uint8Array][] = [
  ['empty', bytesOf('')],
  ['an array alone', bytesOf('82')],
  ['a map alone', bytesOf('82 a0')],
  ['no array', bytesOf('a0 40')],
  ['an array of three', bytesOf('83 a0 40 40')],
  ['a list for the map', bytesOf('82 80 40')],
  ['text for the bytes', bytesOf('82 a0 60')],
  ['a byte behind it', bytesOf('82 a0 40 00')],
  ['bytes longer than there is', bytesOf('82 a0 41')],
  ['bytes of 2^32 − 1', bytesOf('82 a0 5a ffffffff')],
  ['bytes of 2^63', bytesOf('82 a0 5b 8000000000000000')],
  ['nested 9 deep', withValue('81'.repeat(8) + '01')],
  ['nested 17 deep', withValue('81'.repeat(17) + '01')],
  ['nested 10,000 deep', withValue('81'.repeat(10_000) + '01')],
  ['nested 1,000,000 deep', withValue(Buffer.alloc(1_000_000, 0x81))],
  ['a list of 2^32 − 1', withValue('9a ffffffff')],
  ['a list of 2^63', withValue('9b 8000000000000000')],
  ['a map of 2^32 − 1', withValue('ba ffffffff')],
  [
    'a map of 65 keys',
    withValue(
      Buffer.concat([
        bytesOf('b8 41'),
        ...Array.from({ length: 65 }, (_, key) =>
          Buffer.of(0x62, 65 + (key >> 5), 97 + (key & 31), 0x01),
        ),
      ]),
    ),
  ],
  ['a map with a key and no value', bytesOf('82 a1 61 61')],
  ['text longer than there is', withValue('7a 00010000 61')],
  ['an indefinite list', withValue('9f 01 ff')],
  ['an indefinite map', withValue('bf 61 62 01 ff')],
  ['indefinite text', withValue('7f 61 61 ff')],
  ['indefinite bytes', withValue('5f 41 61 ff')],
  ['a break alone', withValue('ff')],
  ['reserved lengths', withValue('1c')],
  ['a date as text (tag 0)', withValue('c0 74 323031332d30332d32315432303a30343a30305a')],
  ['a date of 1e308 (tag 1)', withValue('c1 fb 7fe1ccf385ebc8a0')],
  [
    'a bignum of 1 MB (tag 2)',
    withValue(Buffer.concat([bytesOf('c2 5a 00100000'), Buffer.alloc(0x100000, 0xff)])),
  ],
  ['a negative bignum (tag 3)', withValue('c3 41 01')],
  ['a decimal fraction (tag 4)', withValue('c4 82 01 02')],
  ['embedded CBOR (tag 24)', withValue('d8 18 41 01')],
  ['a regular expression (tag 27)', withValue('d8 1b 82 66 526567457870 61 61')],
  ['a shared value (tag 28)', withValue('d8 1c 80')],
  ['a cycle (tags 28 and 29)', withValue('d8 1c 81 d8 1d 00')],
  ['packed tables (tag 51)', withValue('d8 33 83 80 80 80')],
  ['a typed array (tag 64)', withValue('d8 40 41 01')],
  ['a record (tag 57343)', withValue('d9 dfff 83 01 81 61 61 01')],
  ['a key that occurs twice', bytesOf('82 a2 61 61 01 61 61 02 40')],
  ['a key that occurs twice under two lengths', bytesOf('82 a2 61 61 01 78 01 61 02 40')],
  ['a number as key', bytesOf('82 a1 01 01 40')],
  ['NaN as key', bytesOf('82 a1 f97e00 01 40')],
  ['a list as key', bytesOf('82 a1 80 01 40')],
  ['__proto__ as key', bytesOf('82 a1 69 5f5f70726f746f5f5f a0 40')],
  ['__proto__ as key further in', withValue('a1 69 5f5f70726f746f5f5f 01')],
  ['the number −2^64', withValue('3b ffffffffffffffff')],
  ['the number −2^32 − 1', withValue('3b 0000000100000000')],
  ['a simple value', withValue('e0')],
  ['a long simple value', withValue('f8 ff')],
  [
    '4 MiB of 0x40 as a list',
    withValue(Buffer.concat([bytesOf('9a 003fffff'), Buffer.alloc(4_194_303, 0x40)])),
  ],
  [
    '4 MiB of 0xa0 as a list',
    withValue(Buffer.concat([bytesOf('9a 003fffff'), Buffer.alloc(4_194_303, 0xa0)])),
  ],
  [
    'fields above 1 MiB',
    withValue(Buffer.concat([bytesOf('7a 00100000'), Buffer.alloc(0x100000, 0x61)])),
  ],
]

void test('every nasty body is refused by name in less than 50 ms', () => {
  for (const [name, body] of nastyBodies) {
    const startedMs = performance.now()
    assert.throws(() => decodeBody(body, requestBodyLimits), isMalformed, name)
    assert.ok(performance.now() - startedMs < 50, name)
  }
})

void test('odd values that are plain CBOR come through, for the checks of the fields to judge', () => {
  const odd: [string, unknown][] = [
    ['f97e00', Number.NaN],
    ['f98000', -0],
    ['f97c00', Number.POSITIVE_INFINITY],
    ['f9fc00', Number.NEGATIVE_INFINITY],
    ['1b 001fffffffffffff', Number.MAX_SAFE_INTEGER],
    ['3a ffffffff', -(2 ** 32)],
    ['62 fffe', '\ufffd\ufffd'],
    ['61 00', '\u0000'],
    ['63 e280ae', '\u202e'],
    ['63 efbbbf', '\ufeff'],
    ['f6', null],
    ['f7', undefined],
  ]
  for (const [hex, value] of odd) {
    assert.deepEqual(decodeBody(withValue(hex), requestBodyLimits).fields, { a: value }, hex)
  }
  const named = bytesOf('82 a2 6b 636f6e7374727563746f72 01 68 746f537472696e67 02 40')
  assert.deepEqual(
    { ...decodeBody(named, requestBodyLimits).fields },
    { constructor: 1, toString: 2 },
  )
})

void test('the fields nest 8 deep, the array of the body counted', () => {
  const nested = withValue('81'.repeat(limits.fieldDepth - 2) + '01')
  assert.ok('a' in decodeBody(nested, requestBodyLimits).fields)
  assert.throws(
    () => decodeBody(withValue('81'.repeat(limits.fieldDepth - 1) + '01'), requestBodyLimits),
    isMalformed,
  )
})

void test('a reply may be longer than a request', () => {
  const long = withValue(Buffer.concat([bytesOf('7a 00100000'), Buffer.alloc(0x100000, 0x61)]))
  assert.equal(String(decodeBody(long, replyBodyLimits).fields['a']).length, 0x100000)
})

const plain = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 4, withCrossShrink: true }, tie('leaf'), tie('list'), tie('map')),
  leaf: fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.boolean(),
    fc.constant(null),
    fc.double(),
    fc.integer({ min: -(2 ** 32), max: 2 ** 32 - 1 }),
    fc.maxSafeNat(),
    fc.uint8Array(),
  ),
  list: fc.array(tie('value'), { maxLength: 5 }),
  map: fc.dictionary(
    fc.string({ unit: 'grapheme' }).filter((key) => key !== '__proto__'),
    tie('value'),
    { maxKeys: 5, noNullPrototype: true },
  ),
}))

void test('whatever is plain survives the wire, and its slices follow untouched', () => {
  fc.assert(
    fc.property(plain['map'] as fc.Arbitrary<object>, fc.uint8Array(), (fields, slice) => {
      const body = Buffer.concat([encodeBodyHead(fields, slice.length, 0), slice])
      const decoded = decodeBody(body, requestBodyLimits)
      assert.deepEqual(normal(decoded.fields), normal(fields))
      assert.deepEqual([...decoded.bytes], [...slice])
    }),
  )
})

/** cbor-x decodes byte strings as Buffers and minus zero, an integer on the wire, as zero. */
function normal(value: unknown): unknown {
  if (value instanceof Uint8Array) return [...value]
  if (Array.isArray(value)) return value.map(normal)
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, normal(member)]))
  return value === 0 ? 0 : value
}

void test('an encoded map is a copy of its own', () => {
  const first = encodeFields({ a: 1 })
  encodeFields({ b: 2 })
  assert.deepEqual([...first], [0xa1, 0x61, 0x61, 0x01])
  assert.equal(first.buffer.byteLength, first.length)
})
