import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMqError } from './errors.ts'
import {
  bytes,
  type Check,
  dictionary,
  flag,
  list,
  object,
  oneOf,
  optional,
  text,
  whole,
} from './fields.ts'

function refuses(check: Check<unknown>, value: unknown, path: RegExp): void {
  assert.throws(
    () => check(value, 'f'),
    (error) => isMqError(error, 'invalid_request') && path.test(error.what),
    `${typeof value} ${String(value)}`,
  )
}

void test('whole takes whole numbers in range only', () => {
  assert.equal(whole(0, 10)(10, 'f'), 10)
  for (const value of [
    -1,
    11,
    0.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    '1',
    1n,
    null,
    undefined,
    true,
    [1],
  ]) {
    refuses(whole(0, 10), value, /field f must be a whole number from 0 to 10/)
  }
  for (const value of [2 ** 53, 1e308, -1]) refuses(whole(), value, /field f/)
  assert.ok(Object.is(whole()(-0, 'f'), 0), 'minus zero is zero')
})

void test('text is measured in bytes of UTF-8 and must be well-formed', () => {
  assert.equal(text(2)('é', 'f'), 'é')
  for (const value of ['éa', 5, null, undefined, new Uint8Array(1)])
    refuses(text(2), value, /field f/)
  refuses(text(9), 'a\ud800', /well-formed/)
  refuses(text(9, 1), '', /1 to 9 bytes/)
  assert.equal(text(9)('\u0000\ufeff\u202e', 'f').length, 3, 'other odd text is text')
})

void test('an object keeps known fields, ignores others, and leaves absent ones out', () => {
  const check = object({ a: whole(), b: optional(text(5)) })
  assert.deepEqual(check({ a: 1, b: null, c: 3, constructor: 1, toString: 2 }, ''), { a: 1 })
  refuses(check, { b: 'x' }, /field f\.a/)
  refuses(check, { a: 1, b: 5 }, /field f\.b must be text/)
  for (const value of [null, undefined, [], 'x', 5]) refuses(check, value, /must be a map/)
})

void test('a field is never taken from a prototype', () => {
  refuses(object({ toString: text(9) }), {}, /field f\.toString/)
})

void test('lists and dictionaries are bounded and name the member that is wrong', () => {
  assert.deepEqual(list(whole(), 2)([1, 2], 'f'), [1, 2])
  refuses(list(whole(), 2), [1, 2, 3], /at most 2 items/)
  refuses(list(whole(), 2), [1, 'x'], /field f\[1\]/)
  refuses(list(whole(), 2), { 0: 1 }, /must be a list/)
  assert.deepEqual(dictionary(flag, 1)({ constructor: true }, 'f'), { constructor: true })
  refuses(dictionary(flag, 1), { a: true, b: true }, /at most 1 keys/)
  refuses(dictionary(flag, 1), { a: 1 }, /field f\.a/)
  refuses(dictionary(flag, 1), [], /must be a map/)
})

void test('bytes are copied out of the frame', () => {
  const message = Uint8Array.of(1, 2, 3, 4)
  const copy = bytes(2)(message.subarray(1, 3), 'f')
  assert.deepEqual([...copy], [2, 3])
  assert.equal(copy.buffer.byteLength, 2)
  refuses(bytes(2), message, /at most 2 bytes/)
  refuses(bytes(2), [1], /must be bytes/)
})

void test('one of some words is just that', () => {
  assert.equal(oneOf('a', 'b')('b', 'f'), 'b')
  for (const value of ['c', 'A', 0, null, ['a']]) refuses(oneOf('a', 'b'), value, /one of a, b/)
})

void test('what was wrong is shown short and escaped', () => {
  refuses(whole(), `${'\u0000'.repeat(3)}${'x'.repeat(10_000)}`, /^.{0,200}$/)
})
