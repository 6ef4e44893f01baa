import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { checkKeys, parsePairs } from './pair.ts'
import { wholeNumber } from './whole-number.ts'

void test('pairs are read back, whatever the values hold', () => {
  const key = fc.stringMatching(/^[a-zA-Z_]+$/)
  fc.assert(
    fc.property(fc.dictionary(key, fc.string()), (pairs) => {
      const words = Object.entries(pairs).map(([name, value]) => `${name}=${value}`)
      assert.deepEqual(parsePairs(words), { ...pairs })
    }),
  )
})

void test('a word without a key, and a key given twice, are refused', () => {
  assert.throws(() => parsePairs(['retention']), /key=value/)
  assert.throws(() => parsePairs(['=72h']), /key=value/)
  assert.throws(() => parsePairs(['a=1', 'a=2']), /a is given twice/)
})

void test('an unknown key is refused with the nearest', () => {
  assert.throws(() => checkKeys(['retentoin'], ['retention', 'replicas']), /did you mean retention/)
  assert.throws(
    () => checkKeys(['x'], ['retention', 'replicas']),
    /the keys are retention, replicas/,
  )
  checkKeys(['replicas'], ['retention', 'replicas'])
})

void test('a whole number has plain digits and lies within its bounds', () => {
  const parse = wholeNumber(1, 1_024)
  assert.deepEqual(['1', '1024', '007'].map(parse), [1, 1_024, 7])
  for (const text of ['0', '1025', '', '-1', '1.5', '0x10', '1e3', ' 1', 'NaN']) {
    assert.throws(() => parse(text), /from 1 to 1024/, text)
  }
})
