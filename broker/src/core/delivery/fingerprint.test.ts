import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits } from '@popmq/protocol'
import fc from 'fast-check'
import { applicationFrame, fingerprint, normalise } from './fingerprint.ts'

/** Messages of one error, each as it is told at two occurrences. */
const alike: readonly (readonly [string, string])[] = [
  ['order 17 not found', 'order 4711 not found'],
  ['order 1234567 not found', 'order 12345678 not found'],
  ['timed out after 30.5s', 'timed out after 1s'],
  ['balance is -5', 'balance is 1,250,000'],
  ['ratio 1.5e10 is too large', 'ratio 7 is too large'],
  ['ids 1, 2, 3 are unknown', 'ids 8,9 are unknown'],
  ['user_17 is locked', 'user_18 is locked'],
  ['worker-7 died', 'worker-12 died'],
  ['order20261 is late', 'order77777 is late'],
  [
    'key 0190a6c2-7b1e-7f3a-9d52-3c1f2e4d5b6a exists',
    'key 0190A6C2-7B1E-7F3A-9D52-3C1F2E4D5B6B exists',
  ],
  ['job_0190a6c2-7b1e-7f3a-9d52-3c1f2e4d5b6a', 'job_f190a6c2-7b1e-7f3a-9d52-3c1f2e4d5b6a'],
  ['commit 7f3a9b2c is gone', 'commit 7f3a9b2c1d0e5a6b7f3a9b2c1d0e5a6b7f3a9b2c is gone'],
  ['at 0x1F', 'at 0xdeadbeef00'],
  ['object 507f1f77bcf86cd799439011 is stale', 'object 507f191e810c19729de860ea is stale'],
  ["open '/var/tmp/a1.txt'", "open '/etc/passwd'"],
  ['column "total" is null', 'column "price" is null'],
  ['column `total` is null', 'column `price` is null'],
  ['column “total” is null', 'column “price” is null'],
  ['value "a \\" b" is bad', 'value "c" is bad'],
  ["name 'O'Brien' is taken", "name 'Smith' is taken"],
  ["don't use 'a', it's old", "don't use 'b c', it's old"],
  ["(reading 'name')", "(reading '')"],
  ['GET https://api.example.com/v1/orders/17?x=1 failed', 'GET https://api.example.com/v2 failed'],
  ['GET https://api.example.com failed', 'GET https://api.example.com/ failed'],
  ['fetch http://localhost:3000/a: refused', 'fetch http://localhost:8080/b: refused'],
  ['connect to postgres://joe:secret@db/orders', 'connect to postgres://ann:pass@db/users'],
  ['GET http://10.1.2.3:80/x', 'GET http://10.1.2.4:81/y'],
  ['mail to ann@example.com bounced', 'mail to joe.b+x@mail.example.co.uk bounced'],
  ['connect ECONNREFUSED 10.0.0.1:5432', 'connect ECONNREFUSED 192.168.17.254:5433'],
  ['connect ECONNREFUSED ::1:5432', 'connect ECONNREFUSED fe80::1ff:fe23:4567:890a'],
  ['from 2001:0db8:85a3:0000:0000:8a2e:0370:7334', 'from 2001:db8::8a2e:370:7334'],
  ['at 2026-11-21T15:26:06.123Z', 'at 2025-01-02T00:00:00+01:00'],
  ['on 2026-11-21', 'on 2026/11/21 15:26'],
  ['at 15:26:06', 'at 09:00:00.125'],
  ['since Sat, 21 Nov 2026 15:26:06 GMT', 'since Mon, 1 Jan 2024 00:00:00 GMT'],
  [
    'since Sat Nov 21 2026 15:26:06 GMT+0000 (Coordinated Universal Time)',
    'since Mon Jan 01 2024 00:00:00 GMT+0100 (Central European Standard Time)',
  ],
  ['a   lot\n of room', 'a lot of room'],
  ['  trimmed ', 'trimmed'],
  ['Unexpected token } in JSON at position 42', 'Unexpected token } in JSON at position 7'],
  ['duplicate key value (id)=(17)', 'duplicate key value (id)=(18)'],
]

/** Messages of errors that a person would keep apart. */
const different: readonly (readonly [string, string])[] = [
  ['order 17 not found', 'customer 17 not found'],
  ['order not found', 'order found'],
  ['timed out after 30s', 'timed out after 30m'],
  ['int32 overflow', 'int64 overflow'],
  ['HTTP2 stream closed', 'HTTP3 stream closed'],
  ['sha256 mismatch', 'sha512 mismatch'],
  ['GET https://api.example.com/a failed', 'GET https://api.example.org/a failed'],
  ['GET http://api.example.com/a failed', 'GET https://api.example.com/a failed'],
  ['connect ECONNREFUSED 10.0.0.1', 'connect ETIMEDOUT 10.0.0.1'],
  ['id 17', "id '17'"],
  ['id 7f3a9b2c', 'id 17'],
  ['mail to ann@example.com', 'mail to ann at example'],
  ['std::bad_alloc', 'std::bad_cast'],
  ['decade', 'facade'],
  ["can't read", "can't write"],
  ["the dogs' bowl", "the dogs' bed"],
  ['install pkg@1.2.3', 'install other@1.2.3'],
  ['a,b', 'a, b'],
  ['Not found', 'not found'],
  ['', 'no message'],
]

const prints = (message: string): number => fingerprint({ type: 'Error', message }, 'nack')

void test('messages of one error have one fingerprint', () => {
  for (const [one, other] of alike)
    assert.equal(prints(one), prints(other), `${normalise(one)} and ${normalise(other)}`)
})

void test('messages of different errors have different fingerprints', () => {
  for (const [one, other] of different)
    assert.notEqual(prints(one), prints(other), `${one} and ${other} are ${normalise(one)}`)
})

void test('each thing that varies has its own placeholder', () => {
  const message =
    'user ann@example.com from 10.0.0.1 got "x" at 2026-11-21T15:26:06Z of https://u:p@api.example.com:81/a?b, ' +
    'id 0190a6c2-7b1e-7f3a-9d52-3c1f2e4d5b6a, hash 7f3a9b2c, 17 times'
  assert.equal(
    normalise(message),
    'user ‹email› from ‹ip› got ‹str› at ‹time› of https://api.example.com:‹n›‹url›, id ‹uuid›, hash ‹hex›, ‹n› times',
  )
})

void test('type, message and frame each tell errors apart', () => {
  const failure = {
    type: 'TypeError',
    message: 'x',
    stack: 'TypeError: x\n    at pay (/app/a/b.js:1:2)',
  }
  const others = [
    { ...failure, type: 'RangeError' },
    { ...failure, message: 'y' },
    { ...failure, stack: 'TypeError: x\n    at pay (/app/a/c.js:1:2)' },
    { ...failure, stack: 'TypeError: x\n    at refund (/app/a/b.js:1:2)' },
    { type: failure.type, message: failure.message },
  ]
  const all = [failure, ...others].map((each) => fingerprint(each, 'nack'))
  assert.equal(new Set(all).size, all.length)
  assert.equal(fingerprint({ ...failure, type: ' TypeError ' }, 'rejected'), all[0])
})

void test('without an error each outcome has its own fingerprint', () => {
  const outcomes = ['nack', 'expired', 'rejected', 'operator'] as const
  const none = outcomes.map((outcome) => fingerprint(undefined, outcome))
  assert.equal(new Set(none).size, outcomes.length)
  assert.deepEqual(
    outcomes.map((outcome) => fingerprint({ message: ' ' }, outcome)),
    none,
  )
})

void test('version 1 of the fingerprint stays as it is', () => {
  const failure = {
    type: 'TypeError',
    message: "Cannot read properties of undefined (reading 'total')",
    stack: 'TypeError: Cannot read\n    at charge (/app/src/handlers/pay.js:17:9)',
  }
  assert.deepEqual(
    [fingerprint(failure, 'nack'), fingerprint(undefined, 'expired')].map((each) =>
      each.toString(16),
    ),
    ['616ac49c4b06', '9a4f72b3384'],
  )
})

const frames: readonly (readonly [string, string])[] = [
  ['at charge (/app/src/handlers/pay.js:17:9)', 'handlers/pay.js:charge'],
  ['at async charge (file:///app/src/handlers/pay.js?t=17:17:9)', 'handlers/pay.js:charge'],
  ['at Till.charge [as run] (C:\\app\\handlers\\pay.js:17:9)', 'handlers/pay.js:Till.charge'],
  ['at /srv/joe/handlers/pay.js:17:9', 'handlers/pay.js:'],
  ['at async file:///srv/handlers/pay.js:17:9', 'handlers/pay.js:'],
  ['at new Till (/app (copy)/handlers/pay.js:17:9)', 'handlers/pay.js:new Till'],
  ['at pay.js:17', 'pay.js:'],
  ['at run (node:internal/process/task_queues:95:5)', ''],
  ['at run (internal/timers.js:95:5)', ''],
  ['at run (/app/node_modules/pg/lib/client.js:1:1)', ''],
  ['at run (C:\\app\\node_modules\\pg\\client.js:1:1)', ''],
  ['at Array.map (<anonymous>)', ''],
  ['at async Promise.all (index 0)', ''],
  ['at eval (eval at run (/app/x.js:1:2), <anonymous>:1:1)', ''],
  ['at native', ''],
  ['at home nobody answers', ''],
  ['charge (/app/src/handlers/pay.js:17:9)', ''],
]

void test('a frame is its function and the last two parts of its path', () => {
  for (const [line, frame] of frames) assert.equal(applicationFrame(`Error: x\n    ${line}`), frame)
})

void test('frames of Node and of packages are passed by', () => {
  const stack = [
    'Error: order 17',
    'at the second line',
    '    at Socket.on (node:net:1:2)',
    '    at query (/app/node_modules/pg/client.js:3:4)',
    '    at charge (/app/src/pay.js:5:6)',
    '    at main (/app/src/main.js:7:8)',
  ].join('\n')
  assert.equal(applicationFrame(stack), 'src/pay.js:charge')
})

void test('the same code on two machines has one fingerprint, an edit above it too', () => {
  const at = (path: string, line: number): number =>
    fingerprint(
      { type: 'Error', message: 'x', stack: `Error: x\n    at run (${path}:${line}:9)` },
      'nack',
    )
  assert.equal(at('/opt/ann/shop/src/pay.js', 17), at('file:///srv/shop-2/src/pay.js', 18))
})

void test('any text gives 48 bits above 0, the same each time', () => {
  const piece = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      '"',
      "'",
      '\\',
      '::',
      '://',
      '@',
      '.',
      '0',
      'f',
      '-',
      '\n    at ',
      ' (',
      ':1:1)',
      '‹n›',
    ),
  )
  const text = fc.array(piece).map((pieces) => pieces.join(''))
  fc.assert(
    fc.property(text, text, text, (type, message, stack) => {
      const print = fingerprint({ type, message, stack }, 'nack')
      assert.ok(Number.isSafeInteger(print) && print > 0 && print < 2 ** 48)
      assert.equal(print, fingerprint({ type, message, stack }, 'nack'))
    }),
    { numRuns: 300 },
  )
})

void test('what varies does not tell two errors apart, whatever it is', () => {
  const hex = fc.stringMatching(/^[a-f][0-9a-f]{7,40}$/)
  const url = fc
    .webUrl({ withQueryParameters: true })
    .map((each) => new URL(each).pathname.replace(/[^\w/.-]/g, ''))
  const path = url.map((each) => `https://api.example.com${each}`)
  const quoted = fc.string({ unit: 'grapheme' }).map((each) => `"${each.replace(/["\\]/g, '')}"`)
  const year = { min: new Date('1990-01-01'), max: new Date('2100-01-01'), noInvalidDate: true }
  const time = fc.date(year).map((each) => each.toISOString())
  const ipV6 = fc.ipV6().filter((each) => /\d/.test(each))
  const plain = [fc.nat().map(String), fc.uuid(), hex, quoted, fc.ipV4(), ipV6, path, time]
  const pair = fc.oneof(...plain.map((each) => fc.tuple(each, each)))
  fc.assert(
    fc.property(pair, ([one, other]) => {
      assert.equal(normalise(`what (${one}) is`), normalise(`what (${other}) is`))
    }),
    { numRuns: 300 },
  )
})

/** Texts that a careless pattern takes quadratic time or worse for. */
const hostile = [
  'a',
  '0',
  'f',
  "'",
  '"',
  '`',
  '“',
  '\\"',
  "'a",
  " 'a",
  "a'a'",
  'a.',
  '1.',
  '1,',
  'a@',
  'a@a.',
  '::',
  '1:',
  'f:f::',
  'a://',
  'http://a@',
  '-',
  '1-',
  ' ',
  '\n',
  '‹n›, ',
  'Sat ',
  ' [as ',
  'at a (',
  ':1',
  '\nat a (',
]

void test('the longest hostile text has a fingerprint', () => {
  for (const piece of hostile) {
    const text = piece.repeat(limits.errorBytes).slice(0, limits.errorBytes)
    assert.ok(fingerprint({ type: 'Error', message: text, stack: text }, 'nack') > 0, piece)
    assert.notEqual(applicationFrame(`    at run (${text}:1:1)`), 'run', piece)
  }
})

void test('what lies behind the longest text allowed is not looked at', () => {
  const text = 'a '.repeat(limits.errorBytes / 2)
  assert.equal(prints(`${text}one`), prints(`${text}other`))
})
