import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { failure, limits } from '@popmq/protocol'
import { shortened, toldFailure, toldThrown } from './told-failure.ts'

const bytesOf = (text: string): number => new TextEncoder().encode(text).length

void test('whatever is thrown is told within the limits of the wire', () => {
  const text = fc.string({ unit: 'binary', maxLength: 9_000 })
  const thrown = fc.oneof(
    fc.anything(),
    fc.record({ type: text, message: text, stack: text }),
    fc.record({ name: text, message: text, cause: fc.oneof(text, fc.record({ message: text })) }),
  )
  fc.assert(
    fc.property(thrown, (value) => {
      failure(toldThrown(value), 'error')
    }),
    { numRuns: 300 },
  )
})

void test('a text is cut between characters, and says that it was', () => {
  assert.equal(shortened('short', 5), 'short')
  assert.equal(shortened('shorter', 6), 'sho…')
  assert.equal(shortened('ääääää', 10), 'äää…')
  assert.equal(shortened('lone \ud800 half', 100), 'lone \ufffd half')
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), fc.nat(40), (text, extra) => {
      const cut = shortened(text, 8 + extra)
      assert.ok(bytesOf(cut) <= 8 + extra)
      const isWhole = bytesOf(text) <= 8 + extra
      assert.equal(cut === text, isWhole)
      if (!isWhole) assert.ok(cut.endsWith('…') && text.startsWith(cut.slice(0, -1)))
    }),
    { numRuns: 300 },
  )
})

void test('an error tells name, message with its first cause, and stack', () => {
  const cause = new Error('the disk is full', { cause: new Error('deeper') })
  const error = new TypeError('cannot write', { cause })
  assert.deepEqual(toldFailure(error), {
    type: 'TypeError',
    message: 'cannot write (cause: the disk is full)',
    stack: error.stack,
  })
  const huge = toldFailure(new Error('m'.repeat(1_048_576), { cause: 'c'.repeat(1_048_576) }))
  assert.equal(bytesOf(huge?.message ?? ''), limits.errorBytes)
  assert.match(huge?.message ?? '', /^m+… \(cause: c+…\)$/)
})

void test('what is no error is told as well as it can be', () => {
  assert.equal(toldFailure(undefined), undefined)
  assert.equal(toldFailure(null), undefined)
  assert.deepEqual(toldThrown(null), { message: 'null was thrown' })
  assert.deepEqual(toldFailure('a text'), { message: 'a text' })
  assert.deepEqual(toldFailure(7n), { message: '7' })
  assert.deepEqual(toldFailure(Symbol('odd')), { message: 'Symbol(odd)' })
  assert.deepEqual(
    toldFailure(() => 7),
    { message: 'a function' },
  )
  assert.deepEqual(toldFailure({ type: 'Refused', message: 'no' }), {
    type: 'Refused',
    message: 'no',
  })
  const hostile = {
    get message(): string {
      throw new Error('not for you')
    },
    toJSON: () => assert.fail('nor this'),
  }
  assert.deepEqual(toldFailure(hostile), { message: 'an object without a JSON form' })
})
