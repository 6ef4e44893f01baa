import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GroupConsumerOptions } from './api/group-consumer.ts'
import { groupConsumerConfig } from './group-consumer-config.ts'
import { pullConsumerConfig } from './pull-consumer-config.ts'

const good = { group: 'g', topics: ['orders'] }

void test('what is left out has its default', () => {
  const { commit, autoCommitMs, drainMs, broadcast, from, member } = groupConsumerConfig(good)
  assert.deepEqual(
    { commit, autoCommitMs, drainMs, broadcast, from, member },
    {
      commit: 'auto',
      autoCommitMs: 1_000,
      drainMs: 10_000,
      broadcast: false,
      from: 'earliest',
      member: undefined,
    },
  )
})

void test('every option refuses by name what it does not take', () => {
  const wrong: [object, RegExp][] = [
    [{ group: 5 }, /option group/],
    [{ topics: [] }, /1 to 1000 topics/],
    [{ topics: 'orders' }, /1 to 1000 topics/],
    [{ topics: ['a', 'a'] }, /named twice/],
    [{ topics: undefined }, /1 to 1000 topics/],
    [{ partitions: [{ topic: 'orders', partition: 0 }] }, /cannot name them/],
    [{ broadcast: 'yes' }, /option broadcast/],
    [{ member: 7 }, /option member is a name/],
    [{ from: -1 }, /an offset/],
    [{ from: 'now' }, /a place to read from/],
    [{ from: [{ topic: 'orders', partition: 0 }] }, /a place to read from/],
    [{ commit: 'none' }, /option commit must be one of auto, manual/],
    [{ autoCommitMs: 9 }, /option autoCommitMs must be a whole number from 10 to 600000/],
    [{ drainMs: -1 }, /option drainMs must be a whole number from 0 to 590000/],
    [{ drainMs: 590_001 }, /option drainMs/],
    [{ tags: [] }, /option tags/],
    [{ onOutOfRange: 'jump' }, /option onOutOfRange/],
    [{ waitMs: 60_001 }, /option waitMs/],
    [{ maxBytes: 0 }, /option maxBytes/],
    [{ prefetchBytes: 0.5 }, /option prefetchBytes/],
    [{ onAssign: 1 }, /option onAssign is a function/],
    [{ onRevoke: 'x' }, /option onRevoke is a function/],
    [{ onLost: {} }, /option onLost is a function/],
    [{ onJump: [] }, /option onJump is a function/],
    [{ autoCommit: true }, /no option "autoCommit"; did you mean autoCommitMs/],
  ]
  for (const [change, message] of wrong) {
    const options = { ...good, ...change } as GroupConsumerOptions
    assert.throws(
      () => groupConsumerConfig(options),
      { name: 'invalid_request', message },
      JSON.stringify(change),
    )
  }
  for (const change of [
    { group: 'no such' },
    { group: '_x' },
    { topics: ['no such'] },
    { member: '' },
    { member: 'a b' },
  ]) {
    assert.throws(() => groupConsumerConfig({ ...good, ...change }), { name: 'invalid_name' })
  }
})

void test('without a group what goes with one is refused by name', () => {
  const misplaced = {
    commit: 'auto',
    autoCommitMs: 1_000,
    drainMs: 1_000,
    member: 'm',
    broadcast: true,
    onAssign: () => undefined,
    onRevoke: () => undefined,
    onLost: () => undefined,
  }
  for (const [name, value] of Object.entries(misplaced)) {
    assert.throws(
      () => pullConsumerConfig({ topics: ['orders'], [name]: value }),
      { name: 'invalid_request', message: new RegExp(`option ${name} goes with a group`) },
      name,
    )
  }
})
