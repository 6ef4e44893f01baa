import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { firstHeldNumber, partitionNumber, topicId } from '@popmq/protocol'
import { formatHandle, formatLease, parseHandle, parseLease } from './handle.ts'

const lease = fc.uint8Array({ minLength: 1, maxLength: 128 })

void test('a handle says what it was made of, and its lease is base64url', () => {
  const number = fc.oneof(fc.nat(), fc.integer({ min: firstHeldNumber, max: firstHeldNumber + 9 }))
  const id = fc.integer({ min: 1, max: 0xffff_ffff })
  fc.assert(
    fc.property(fc.tuple(id, fc.nat(1_023), number, lease), ([topic, at, named, bytes]) => {
      const text = formatLease(bytes)
      assert.equal(text, Buffer.from(bytes).toString('base64url'))
      assert.deepEqual(parseLease(text), bytes)
      const parts = { topicId: topicId(topic), partition: partitionNumber(at), number: named }
      assert.deepEqual(parseHandle(formatHandle({ ...parts, lease: text })), {
        ...parts,
        lease: text,
      })
    }),
    { numRuns: 300 },
  )
})

void test('what is no handle is none', () => {
  const not = [
    ...['', '1.0.0', '1.0.0.', '1.0.0.A', '0.0.0.AAAA', '01.0.0.AAAA', '1.1024.0.AAAA'],
    ...['4294967296.0.0.AAAA', '1.0.9007199254740993.AAAA', '1.0.0.AA+A', ' 1.0.0.AAAA'],
    ...['1.0.0.AAAA\n', '1.-1.0.AAAA', '1.0.0.AAAA.', `1.0.0.${'A'.repeat(172)}`],
  ]
  for (const text of not) assert.equal(parseHandle(text), undefined, text)
  for (const value of [undefined, null, 7, {}, ['1.0.0.AAAA']]) {
    assert.equal(parseHandle(value), undefined)
  }
  assert.ok(parseHandle('1.0.0.AAAA'))
})
