import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TopicDescription } from '@popmq/client'
import { MqError } from '@popmq/protocol'
import { FakeClient } from '../testing/fake-client.ts'
import { transcript } from '../testing/fake-surroundings.ts'

const policy = {
  retentionMs: 259_200_000,
  maxBytes: 0,
  maxMessageBytes: 8_388_608,
  dedupWindowMs: 120_000,
  replicas: 1,
}

function topic(name: string, count: number): TopicDescription {
  const partitions = Array.from({ length: count }, (_, partition) => ({
    partition,
    set: 1,
    leader: partition === 0 ? 1 : 0,
    address: partition === 0 ? 'localhost:7710' : '',
  }))
  return { name, id: 7, createdAt: Date.UTC(2026, 0, 1), policy, partitions }
}

void test('topic create sends partitions and keys, and tells what was made', async () => {
  const client = new FakeClient({ admin: { createTopic: async (name) => topic(name, 2) } })
  const { exitCode, stdout, stderr } = await transcript(
    'topic create orders retention=72h --partitions 2',
    { client },
  )
  assert.deepEqual(client.asked, [
    { what: 'createTopic', given: ['orders', { partitions: 2, config: { retention: '72h' } }] },
  ])
  assert.equal(stdout, 'created orders: 2 partitions, retention 3d, replicas 1\n')
  assert.deepEqual([exitCode, stderr, client.closed], [0, '', true])
})

void test('topic list is a table, and one object a line with --json', async () => {
  const client = new FakeClient({
    admin: { listTopics: async () => [topic('a', 1), topic('orders', 8)] },
  })
  const { stdout } = await transcript('topic list', { client })
  assert.equal(
    stdout,
    [
      'topic   partitions  retention  max bytes  replicas',
      'a                1  3d         any               1',
      'orders           8  3d         any               1',
      '',
    ].join('\n'),
  )
  const json = await transcript('topic list --json', { client })
  const lines = json.stdout
    .trimEnd()
    .split('\n')
    .map((line): unknown => JSON.parse(line))
  assert.deepEqual(lines[0], {
    name: 'a',
    id: 7,
    partitions: 1,
    policy,
    createdAt: Date.UTC(2026, 0, 1),
  })
  assert.equal(lines.length, 2)
})

void test('topic list of nothing says so, and nothing at all with --json', async () => {
  const client = new FakeClient({ admin: { listTopics: async () => [] } })
  assert.equal(
    (await transcript('topic list', { client })).stdout,
    'no topics yet: popmq topic create NAME\n',
  )
  assert.equal((await transcript('topic list --json', { client })).stdout, '')
})

void test('topic describe shows bounds and leaders, and where there is none', async () => {
  const offsets = async () => [{ partition: 0, low: 10, high: 25, offset: undefined }]
  const client = new FakeClient({
    admin: { describeTopic: async (name) => topic(name, 2), offsets },
  })
  const { stdout } = await transcript('topic describe orders', { client })
  assert.equal(
    stdout,
    [
      'orders: 2 partitions, retention 3d, replicas 1',
      'id 7, created 2026-01-01T00:00:00.000Z',
      'maxBytes any, maxMessageBytes 8.00 MiB, dedupWindow 2m',
      'partition  low  high  messages  leader    address',
      '        0  10   25    15        broker 1  localhost:7710',
      '        1  ?    ?     ?         none',
      '',
    ].join('\n'),
  )
})

void test('an error of the cluster is one line on stderr that says how to mend it, and ends with 1', async () => {
  const describeTopic = async () => {
    throw new MqError('topic_not_found', 'topic "orders" does not exist')
  }
  const client = new FakeClient({ admin: { describeTopic } })
  const { exitCode, stdout, stderr } = await transcript('topic describe orders --json', { client })
  assert.equal(
    stderr,
    'error topic_not_found: topic "orders" does not exist (create the topic first: popmq topic create NAME)\n',
  )
  assert.deepEqual([exitCode, stdout, client.closed], [1, '', true])
})

void test('a delete asks on a terminal, and no is no', async () => {
  const client = new FakeClient({ admin: { deleteTopic: async () => undefined } })
  const refused = await transcript('topic delete orders', { client, answer: false })
  assert.deepEqual([refused.exitCode, client.asked], [1, []])
  for (const answer of [{ answer: true }, {}]) {
    const { exitCode, stdout } = await transcript('topic delete orders', { client, ...answer })
    assert.deepEqual([exitCode, stdout], [0, 'deleted orders\n'])
  }
  assert.equal(
    (await transcript('topic delete orders --yes', { client, answer: false })).exitCode,
    0,
  )
})

void test('purge takes an offset or a time', async () => {
  const purgeTopic = async () => [{ partition: 0, low: 5, high: 9, offset: undefined }]
  const client = new FakeClient({ admin: { purgeTopic } })
  const { stdout } = await transcript('topic purge orders --before 5 --json', { client })
  assert.equal(stdout, '{"partition":0,"low":5,"high":9}\n')
  await transcript('topic purge orders --before -1h --partition 2', { client })
  assert.deepEqual(
    client.asked.map(({ given }) => given[1]),
    [{ before: 5 }, { before: new Date(Date.UTC(2025, 11, 31, 23)), partition: 2 }],
  )
})

void test('topic set wants something to change', async () => {
  const { exitCode, stderr } = await transcript('topic set orders')
  assert.equal(exitCode, 2)
  assert.match(stderr, /^error invalid_request: nothing to change/)
})
