import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMqError, MqError } from '@popmq/protocol'
import { makeWorld, type World } from './testing/world.ts'

async function fill({ client, until }: World, count: number, partition = 0): Promise<void> {
  const messages = Array.from({ length: count }, (_, value) => ({
    topic: 'orders',
    value,
    partition,
  }))
  await until(client.producer().sendBatch(messages))
}

void test('topics are made, listed by name, described, grown and deleted', async () => {
  const { client, until, failure } = await makeWorld({ brokers: 2 })
  const admin = client.admin()
  const made = await until(admin.createTopic('orders', { partitions: 3 }))
  assert.deepEqual(
    made.partitions.map(({ leader, address }) => [leader, address]),
    [
      [1, 'broker:1'],
      [2, 'broker:2'],
      [1, 'broker:1'],
    ],
  )
  assert.equal((await until(admin.createTopic('alpha'))).partitions.length, 8)
  assert.equal((await failure(admin.createTopic('alpha'))).name, 'topic_exists')
  assert.deepEqual(
    (await until(admin.listTopics())).map(({ name }) => name),
    ['alpha', 'orders'],
  )
  const grown = await until(admin.setTopic('orders', { partitions: 5 }))
  assert.equal(grown.partitions.length, 5)
  assert.equal((await until(admin.describeTopic('orders'))).id, made.id)
  await until(admin.deleteTopic('orders'))
  assert.equal((await failure(admin.describeTopic('orders'))).name, 'topic_not_found')
  assert.equal((await failure(admin.deleteTopic('orders'))).name, 'topic_not_found')
})

void test('offsets give the bounds of all partitions, and the first message at or after a time', async () => {
  const world = await makeWorld({ brokers: 2 })
  const { cluster, client, until, clock } = world
  cluster.addTopic('orders', 2)
  await fill(world, 3)
  await clock.run(1_000)
  const at = new Date(clock.now())
  await fill(world, 2)
  assert.deepEqual(await until(client.admin().offsets('orders')), [
    { partition: 0, low: 0, high: 5, offset: undefined },
    { partition: 1, low: 0, high: 0, offset: undefined },
  ])
  const [first] = await until(client.admin().offsets('orders', { at }))
  assert.equal(first?.offset, 3)
})

void test('a purge removes what lies below an offset or time, in one partition or all', async () => {
  const world = await makeWorld()
  const { cluster, client, until, failure } = world
  cluster.addTopic('orders', 2)
  await fill(world, 5, 0)
  await fill(world, 2, 1)
  const admin = client.admin()
  const lows = async (options?: Parameters<typeof admin.purgeTopic>[1]): Promise<number[]> => {
    const purged = await until(admin.purgeTopic('orders', options))
    return purged.map(({ low }) => low)
  }
  assert.deepEqual(await lows({ before: 1, partition: 0 }), [1])
  assert.deepEqual(await lows({ before: 3 }), [3, 2])
  assert.equal(
    (await failure(admin.purgeTopic('orders', { before: 9, partition: 0 }))).name,
    'offset_out_of_range',
  )
  assert.equal(
    (await failure(admin.purgeTopic('orders', { partition: 7 }))).name,
    'partition_not_found',
  )
  assert.deepEqual(await lows(), [5, 2])
})

void test('a message is found at its offset, and its absence is an error of its own', async () => {
  const world = await makeWorld()
  const { cluster, client, until, failure } = world
  cluster.addTopic('orders')
  await fill(world, 5)
  const admin = client.admin()
  const at = (offset: number, partition = 0) =>
    admin.messageAt({ topic: 'orders', partition, offset })
  const message = await until(at(3))
  assert.deepEqual([message.offset, message.value], [3, 3])
  assert.equal((await failure(at(5))).name, 'message_not_found')
  cluster.log('orders').dropOldest(2)
  const gone = await failure(at(1))
  assert.ok(isMqError(gone, 'offset_out_of_range'))
  assert.deepEqual(gone.facts, { low: 2, high: 5 })
  assert.equal((await failure(at(0, 4))).name, 'partition_not_found')
  assert.equal((await failure(at(-1))).name, 'invalid_request')
})

void test('the cluster says who its brokers are and how much there is', async () => {
  const { cluster, client, until } = await makeWorld({ brokers: 2 })
  cluster.addTopic('a', 3)
  cluster.addTopic('b', 4)
  const { clusterId, brokers, topics, partitions } = await until(client.admin().cluster())
  assert.deepEqual([clusterId, topics, partitions], ['a-cluster', 2, 7])
  assert.deepEqual(
    brokers.map(({ id, set }) => [id, set]),
    [
      [1, 1],
      [2, 2],
    ],
  )
})

void test('what may be repeated is repeated when its answer is lost, what may not is told', async () => {
  const { cluster, client, until, failure } = await makeWorld()
  cluster.addTopic('orders')
  const admin = client.admin()
  let faults = 2
  cluster.fault = ({ name }) => {
    if (!['metadata', 'topic_create'].includes(name) || faults === 0) return undefined
    faults -= 1
    return { kind: 'lose_reply' }
  }
  assert.equal((await until(admin.describeTopic('orders'))).name, 'orders')
  faults = 1
  assert.equal((await failure(admin.createTopic('new'))).name, 'connection_lost')
  assert.ok(cluster.topics.has('new'))
})

void test('a call follows a partition to another broker', async () => {
  const world = await makeWorld({ brokers: 2 })
  const { cluster, client, until, clock } = world
  cluster.addTopic('orders')
  await fill(world, 2)
  cluster.move(1, 0)
  const asked = client.admin().messageAt({ topic: 'orders', partition: 0, offset: 1 })
  await clock.run(3_000)
  cluster.move(1, 2)
  assert.equal((await until(asked)).value, 1)
})

void test('an abort ends a call', async () => {
  const { cluster, client, failure, clock } = await makeWorld()
  cluster.fault = () => ({ kind: 'swallow' })
  const abort = new AbortController()
  const asked = failure(client.admin().listTopics({ signal: abort.signal }))
  await clock.run(100)
  abort.abort()
  assert.equal((await asked).name, 'aborted')
})

void test('an error of the coordinator is told as it is', async () => {
  const { cluster, client, failure } = await makeWorld()
  cluster.fault = ({ name }) =>
    name === 'topic_create'
      ? { kind: 'refuse', error: new MqError('invalid_config', 'retention is no duration') }
      : undefined
  const error = await failure(client.admin().createTopic('x', { config: { retention: 'soon' } }))
  assert.ok(isMqError(error, 'invalid_config'))
  assert.match(error.message, /retention is no duration/)
})
