import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GroupStates, MessageStates, PartitionLag } from '@popmq/client'
import { FakeClient } from '../testing/fake-client.ts'
import { transcript } from '../testing/fake-surroundings.ts'

const none: MessageStates = {
  ...{ ready: 0, leased: 0, retrying: 0, parked: 0, dead: 0, acked: 0, skipped: 0 },
}
const orders = { topic: 'orders', low: 0 }

const pulled: PartitionLag = {
  ...{ ...orders, partition: 0, committed: 5, high: 9, messages: 4, lagMs: 125_400 },
  states: { ...none, ready: 4, acked: 5, readyAgeMs: 125_400 },
}
const popped: PartitionLag = {
  ...{ ...orders, partition: 1, committed: -1, high: 20, messages: 2, lagMs: 340 },
  states: {
    ...{ ready: 2, leased: 3, retrying: 1, parked: 0, dead: 1, acked: 10, skipped: 3 },
    ...{ readyAgeMs: 340, leasedAgeMs: 12_000, retryingAgeMs: 61_000, deadAgeMs: 3_600_000 },
  },
}

const client = (states: Partial<GroupStates>) =>
  new FakeClient({
    groups: {
      states: async () => ({ partitions: [pulled, popped], unknown: [], delayed: [], ...states }),
    },
  })

void test('group lag tells the states of the messages, the oldest age of each, and the sum', async () => {
  const delayed = [
    { topic: 'orders', count: 7 },
    { topic: 'parcels', count: 0 },
  ]
  const { exitCode, stdout } = await transcript('group lag g', { client: client({ delayed }) })
  assert.deepEqual(stdout.split('\n'), [
    'topic   partition  committed  high  messages  behind  ready      leased   retrying  dead    acked  skipped',
    'orders          0  5             9         4  125s    4 (125s)   0        0         0           5        0',
    'orders          1  -            20         2  340ms   2 (340ms)  3 (12s)  1 (61s)   1 (1h)     10        3',
    'sum                             29         6  125s    6 (125s)   3 (12s)  1 (61s)   1 (1h)     15        3',
    'orders: 7 delayed',
    '',
  ])
  assert.equal(exitCode, 0)
})

void test('with --json a partition is a line: the fields of the lag, then the states', async () => {
  const { stdout } = await transcript('group lag g --json', { client: client({}) })
  const lines = stdout.trimEnd().split('\n')
  const [first, second] = lines.map((line) => JSON.parse(line) as object)
  const { states: statesOfFirst, ...lag } = pulled
  assert.deepEqual(first, { ...lag, ...statesOfFirst })
  assert.deepEqual(second, {
    ...{ topic: 'orders', partition: 1, committed: -1, low: 0, high: 20, messages: 2, lagMs: 340 },
    ...{ ready: 2, leased: 3, retrying: 1, parked: 0, dead: 1, acked: 10, skipped: 3 },
    ...{ readyAgeMs: 340, leasedAgeMs: 12_000, retryingAgeMs: 61_000, deadAgeMs: 3_600_000 },
  })
  assert.equal(lines.length, 2)
})

void test('a broadcast member has a lag and no states; an age that could not be told is null', async () => {
  const member: PartitionLag = {
    ...{ ...orders, partition: 2, member: 'a', committed: 1, high: 2, messages: 1 },
    lagMs: undefined,
  }
  const told = client({ partitions: [member] })
  const { stdout } = await transcript('group lag g', { client: told })
  assert.match(stdout, /^orders +2 {2}a +1 +2 +1 {2}\? +- +- +- +- +- +-$/m)
  assert.match(stdout, /^sum .* 1 {2}\? /m)
  const json = await transcript('group lag g --json', { client: told })
  assert.deepEqual(JSON.parse(json.stdout), { ...member, lagMs: null })
})

void test('what is not known is said to be unknown, and the command ends with 1', async () => {
  const unknown = [3, 5].map((partition) => ({ topic: 'orders', partition }))
  const { exitCode, stdout, stderr } = await transcript('group lag g', {
    client: client({ unknown }),
  })
  assert.match(stdout, /^orders +5(?: +\?){10}$/m)
  assert.match(stderr, /^error unreachable: nothing is known of orders 3 5 now: /)
  assert.equal(exitCode, 1)
  const json = await transcript('group lag g --json', { client: client({ unknown }) })
  assert.deepEqual([json.exitCode, json.stdout.trimEnd().split('\n').length], [1, 2])
})

void test('parked messages have a column when there are some', async () => {
  const states = { ...none, parked: 4 }
  const { stdout } = await transcript('group lag g', {
    client: client({ partitions: [{ ...popped, states }] }),
  })
  assert.match(stdout, /^topic +partition {2}high .* retrying {2}parked {2}dead/)
  assert.match(stdout, /^sum +20 +2 {2}340ms +0 +0 +0 +4 +0 +0 +0$/m)
})

void test('a group that read nothing has no lag', async () => {
  const told = client({ partitions: [] })
  assert.equal(
    (await transcript('group lag g', { client: told })).stdout,
    'the group has read nothing yet\n',
  )
  assert.equal((await transcript('group lag g --json', { client: told })).stdout, '')
})
