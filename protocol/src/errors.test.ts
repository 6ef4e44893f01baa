import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errorTable } from './error-table.ts'
import { asMqError, errorName, errorNumber, isMqError, MqError } from './errors.ts'

const names = Object.keys(errorTable) as (keyof typeof errorTable)[]

void test('every error has a number of its own that fits the wire, and a sentence that mends', () => {
  assert.equal(new Set(names.map(errorNumber)).size, names.length)
  for (const name of names) {
    const { number, mend } = errorTable[name]
    assert.match(name, /^[a-z]+(_[a-z]+)*$/)
    assert.ok(Number.isInteger(number) && number >= 1_000 && number <= 0xffff, name)
    assert.ok(mend.length > 10 && !mend.endsWith('.'), name)
    assert.equal(errorName(number), name)
  }
  assert.equal(errorName(64_000), 'internal')
})

void test('an error carries its sentence, how to mend it, and whether trying again may help', () => {
  const cause = new Error('why')
  const error = new MqError('broker_busy', 'no room', {
    retryAfterMs: 5,
    facts: { bytes: 1 },
    cause,
  })
  assert.equal(error.message, `no room (${errorTable.broker_busy.mend})`)
  assert.deepEqual(
    [error.what, error.retriable, error.retryAfterMs, error.facts],
    ['no room', 'yes', 5, { bytes: 1 }],
  )
  assert.equal(error.cause, cause)
  assert.ok(
    isMqError(error) &&
      isMqError(error, 'internal', 'broker_busy') &&
      !isMqError(error, 'internal'),
  )
})

void test('what is not an MqError becomes internal with its cause', () => {
  const cause = new TypeError('oops')
  assert.equal(asMqError(cause).cause, cause)
  assert.equal(asMqError(cause).name, 'internal')
  assert.equal(asMqError('text').what, 'text')
  const error = new MqError('closed', 'x')
  assert.equal(asMqError(error), error)
})
