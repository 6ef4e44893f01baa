import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMqError } from './errors.ts'
import { checkName, isName, isSystemName, quoted } from './names.ts'

const escape = '\u001b[31m'
/** Each is refused as the name of a topic or group. */
const nastyNames = [
  [
    '..',
    '../x',
    'a/b',
    'a\\b',
    '%2e%2e',
    'a'.repeat(128),
    '',
    '%RETRY%g',
    'caf\u00e9',
    'cafe\u0301',
  ],
  [
    '<img src=x onerror=1>',
    '=cmd()',
    escape,
    'a\nb',
    'a\n',
    'a\u0000',
    ' a',
    'a ',
    '.a',
    '-a',
    '_internal',
    'a\u202eb',
    '\ud800',
  ],
].flat()

void test('a name outside the pattern is refused by name, and the message is safe to print', () => {
  for (const name of nastyNames) {
    assert.throws(
      () => checkName('topic', name),
      (error) => isMqError(error, 'invalid_name') && /^[\x20-\x7e…]*$/.test(error.message),
      JSON.stringify(name),
    )
  }
})

void test('allowed names are given back; names that differ in case are two names', () => {
  for (const name of ['a', '0', 'a'.repeat(127), 'orders.eu-1_x', 'CON', 'Orders', 'orders']) {
    assert.equal(checkName('group', name), name)
  }
})

void test('a system name is no user’s name', () => {
  for (const name of ['_offsets', '_retry.g', `_${'a'.repeat(126)}`])
    assert.ok(isSystemName(name) && !isName(name), name)
  for (const name of ['_', `_${'a'.repeat(127)}`, '_a/b', 'a', '_\n', '_a\n'])
    assert.ok(!isSystemName(name), JSON.stringify(name))
})

void test('quoting escapes all but printable ASCII and cuts what is long', () => {
  assert.equal(quoted('a\u001bé"'), '"a\\u001b\\u00e9\\""')
  assert.ok(quoted('x'.repeat(10_000)).length < 150)
})
