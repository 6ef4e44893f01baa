import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClient } from '../testing/fake-client.ts'
import { fakeMessage } from '../testing/fake-message.ts'
import { transcript } from '../testing/fake-surroundings.ts'

const cluster = async () => ({
  clusterId: 'c-1',
  leader: 'localhost:7702',
  leaderEpoch: 9,
  coordinators: [
    { id: 1, address: 'localhost:7700' },
    { id: 3, address: 'localhost:7702' },
  ],
  brokers: [
    { id: 1, epoch: 4, address: 'localhost:7710', state: 'live' as const, alive: true, set: 1 },
    { id: 2, epoch: 2, address: 'localhost:7711', state: 'ended' as const, alive: false, set: 2 },
  ],
  topics: 3,
  partitions: 24,
  groups: 2,
})

void test('cluster status says who leads, and counts', async () => {
  const client = new FakeClient({ admin: { cluster } })
  const { stdout } = await transcript('cluster status', { client })
  assert.equal(
    stdout,
    [
      'cluster       c-1',
      'leader        localhost:7702, epoch 9',
      'coordinators  1 at localhost:7700, 3 at localhost:7702',
      'brokers       2, 1 alive',
      'topics        3',
      'partitions    24',
      'groups        2',
      '',
    ].join('\n'),
  )
  const json = await transcript('cluster status --json', { client })
  const { brokers: _, ...given } = await cluster()
  assert.deepEqual(JSON.parse(json.stdout), { ...given, brokers: 2, alive: 1 })
})

void test('cluster brokers names each', async () => {
  const client = new FakeClient({ admin: { cluster } })
  const { stdout } = await transcript('cluster brokers', { client })
  assert.equal(
    stdout,
    [
      'broker  address         state  epoch  set',
      '     1  localhost:7710  live       4    1',
      '     2  localhost:7711  ended      2    2',
      '',
    ].join('\n'),
  )
})

void test('message at shows one message', async () => {
  const client = new FakeClient({ admin: { messageAt: async () => fakeMessage() } })
  const { stdout } = await transcript('message at orders 3 17', { client })
  assert.deepEqual(client.asked[0]?.given[0], { topic: 'orders', partition: 3, offset: 17 })
  assert.match(stdout, /^topic {7}orders\npartition {3}3\noffset {6}17\n/)
  assert.match(stdout, /\nvalue {7}\{"total":42\}\n/)
  assert.match(stdout, /\nappendedAt {2}2026-01-01T12:00:00.000Z\n/)
})

void test('without a server the address that was tried is named', async () => {
  const { exitCode, stderr } = await transcript('cluster status --server other:1')
  assert.equal(
    stderr,
    'error unreachable: nothing answers at other:1 (check the address and that the server runs there)\n',
  )
  assert.equal(exitCode, 1)
})
