import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMqError, type MqError } from '@popmq/protocol'
import { defaultPolicy, topicPolicyOf } from './topic-policy.ts'

void test('without keys a topic has the defaults', () => {
  assert.deepEqual(topicPolicyOf({}), {
    retentionMs: 259_200_000,
    maxBytes: 0,
    maxMessageBytes: 8_388_608,
    dedupWindowMs: 120_000,
    replicas: 1,
  })
})

void test('times and sizes are read with their units', () => {
  const times: [string, number][] = [
    ['0', 0],
    ['200ms', 200],
    ['5s', 5_000],
    ['2m', 120_000],
    ['72h', 259_200_000],
    ['14d', 1_209_600_000],
  ]
  for (const [written, ms] of times)
    assert.equal(topicPolicyOf({ retention: written }).retentionMs, ms)
  const sizes: [string, number][] = [
    ['0', 0],
    ['8388608', 8_388_608],
    ['64KiB', 65_536],
    ['8MiB', 8_388_608],
    ['1GiB', 2 ** 30],
    ['2TiB', 2 ** 41],
  ]
  for (const [written, bytes] of sizes)
    assert.equal(topicPolicyOf({ maxBytes: written }).maxBytes, bytes)
})

void test('keys change what they name and nothing else', () => {
  const base = topicPolicyOf({ retention: '1h', maxMessageBytes: '1MiB' })
  assert.deepEqual(topicPolicyOf({ dedupWindow: '0' }, base), { ...base, dedupWindowMs: 0 })
  assert.equal(defaultPolicy.dedupWindowMs, 120_000)
})

void test('an unknown key is refused with the name of the nearest one', () => {
  assert.throws(
    () => topicPolicyOf({ retension: '1h' }),
    (error: unknown) =>
      isMqError(error, 'invalid_config') && /did you mean retention\?/.test(error.message),
  )
  for (const key of ['zzzzzzzzz', '__proto__', 'constructor', 'toString']) {
    const config = Object.fromEntries([[key, '1']])
    assert.throws(
      () => topicPolicyOf(config),
      (error: unknown) => isMqError(error, 'invalid_config'),
    )
  }
})

void test('a value that is none, or out of range, is refused and the key is named', () => {
  const bad: Record<string, string[]> = {
    retention: ['', '5', '-1s', '1.5h', '5 s', '5S', '1w', '9999999999999d', 'forever', '1e3s'],
    maxBytes: ['', '-1', '8MB', '1.5MiB', '8 MiB', '0x10', '99999TiB', 'NaN'],
    maxMessageBytes: ['0', '65MiB', '67108865'],
    dedupWindow: ['25h', '2'],
    replicas: ['0', '8', 'one', '1.0', '3'],
  }
  for (const [key, values] of Object.entries(bad)) {
    for (const value of values) {
      const named = (error: unknown): boolean =>
        isMqError(error, 'invalid_config') && (error as MqError).what.startsWith(`${key}=`)
      assert.throws(() => topicPolicyOf({ [key]: value }), named, `${key}=${value}`)
    }
  }
})

void test('more than one replica is refused by saying that there is no replication yet', () => {
  assert.throws(() => topicPolicyOf({ replicas: '3' }), /replication is not available/)
})
