import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMqError } from '@popmq/protocol'
import { defaultGroupPolicy, groupPolicyOf } from './group-policy.ts'

const invalid =
  (pattern: RegExp) =>
  (error: unknown): boolean =>
    isMqError(error, 'invalid_config') && pattern.test(error.message)

void test('keys become the policy, and what is not named stays', () => {
  const policy = groupPolicyOf({
    assignor: 'failover',
    sessionTimeout: '30s',
    maxAttempts: '3',
    backoff: '1s,10s,1m',
    invisible: '500ms',
    order: 'key',
    onFailure: 'block',
    deadRetention: '7d',
    outageBrake: 'off',
    maxInFlight: '100',
    maxInFlightPerConsumer: '10',
  })
  assert.deepEqual(policy, {
    assignor: 'failover',
    sessionMs: 30_000,
    maxAttempts: 3,
    backoff: '1s,10s,1m',
    invisibleMs: 500,
    order: 'key',
    onFailure: 'block',
    deadRetentionMs: 7 * 86_400_000,
    outageBrake: 'off',
    maxInFlight: 100,
    maxInFlightPerConsumer: 10,
  })
  assert.deepEqual(groupPolicyOf({}, { policy, modules: [] }), policy)
  assert.deepEqual(groupPolicyOf({}), defaultGroupPolicy)
})

void test('a module of this coordinator may be the assignor', () => {
  const base = { policy: defaultGroupPolicy, modules: ['by-rack'] }
  assert.equal(groupPolicyOf({ assignor: 'by-rack' }, base).assignor, 'by-rack')
  assert.throws(() => groupPolicyOf({ assignor: 'by-rakc' }, base), invalid(/did you mean by-rack/))
})

for (const [key, value, pattern] of [
  ['sesionTimeout', '6s', /did you mean sessionTimeout\?/],
  ['toString', '6s', /a group has no key/],
  ['sessionTimeout', '50ms', /must be 100 to 600000 ms/],
  ['sessionTimeout', '6', /is not a time/],
  ['sessionTimeout', '0', /is not a time/],
  ['maxAttempts', '0', /from 1 to 1000/],
  ['maxAttempts', '1.5', /whole number/],
  ['backoff', 'exp:10m..1s', /is not a back-off/],
  ['backoff', 'exp:1s', /is not a back-off/],
  ['backoff', '1s,,2s', /is not a back-off/],
  ['backoff', '0s', /is not a back-off/],
  ['invisible', '13h', /must be 1 to 43200000 ms/],
  ['order', 'keys', /must be one of none, key/],
  ['onFailure', '', /must be one of park, block, skip/],
  ['outageBrake', 'true', /must be one of on, off/],
  ['maxInFlight', '-1', /whole number from 0/],
  ['assignor', 'stick', /did you mean sticky\?/],
] as const) {
  void test(`${key}=${value} is refused`, () => {
    assert.throws(() => groupPolicyOf({ [key]: value }), invalid(pattern))
  })
}
