import assert from 'node:assert/strict'
import { test } from 'node:test'
import { authenticate } from '@popmq/kit/checksum'
import { groupId, partitionKey, partitionNumber, topicId } from '@popmq/protocol'
import { LeaseTokens } from './lease-token.ts'

const old = { id: 1, key: new Uint8Array(32).fill(1) }
const newest = { id: 2, key: new Uint8Array(32).fill(2) }
const token = {
  groupId: groupId(0xffff_ffff),
  key: partitionKey(topicId(0xffff_ffff), partitionNumber(1_023)),
  generation: 0xffff_ffff,
  nonce: 2 ** 48 - 1,
  attempt: 0xffff,
  until: 2 ** 48 - 1,
}

function tokens(...keys: (typeof old)[]): LeaseTokens {
  const made = new LeaseTokens(authenticate)
  made.use(keys)
  return made
}

void test('a token is read as it was signed, also by a broker that has a newer key beside its own', () => {
  const signed = tokens(old).sign(token)
  assert.equal(signed.length, 46)
  assert.deepEqual(tokens(old).read(signed), token)
  assert.deepEqual(tokens(newest, old).read(signed), token)
})

void test('the newest key signs', () => {
  const signed = tokens(newest, old).sign(token)
  assert.deepEqual(tokens(newest).read(signed), token)
  assert.equal(tokens(old).read(signed), undefined)
})

void test('no bit of a token can be another one, nor any byte be missing or too much', () => {
  const all = tokens(old)
  const signed = all.sign(token)
  for (let bit = 0; bit < signed.length * 8; bit += 1) {
    const copy = signed.slice()
    copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    assert.equal(all.read(copy), undefined, `bit ${bit}`)
  }
  for (let length = 0; length < signed.length; length += 1)
    assert.equal(all.read(signed.subarray(0, length)), undefined)
  assert.equal(all.read(new Uint8Array([...signed, 0])), undefined)
})

void test('without a key nothing is signed and nothing is read', () => {
  const none = new LeaseTokens(authenticate)
  assert.equal(none.isReady, false)
  assert.throws(() => none.sign(token), /key/)
  assert.equal(none.read(tokens(old).sign(token)), undefined)
})
