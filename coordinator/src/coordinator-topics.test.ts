import assert from 'node:assert/strict'
import { test } from 'node:test'
import { metadata, topicCreate, topicDelete, topicSet } from '@popmq/protocol'
import { CoordinatorWorld, refused, sessionMs } from './testing/coordinator-world.ts'

void test('without a broker a topic is refused, and tells to start one', async () => {
  const world = new CoordinatorWorld()
  await world.start()
  await assert.rejects(
    world.ask(topicCreate, { name: 'a', partitions: 1 }),
    refused('no_brokers', /start a broker/),
  )
})

void test('a topic is spread over the live brokers, told to them, and shown in routes', async () => {
  const world = new CoordinatorWorld()
  const coordinator = await world.start()
  const first = (await world.openBroker(1)).keep()
  const second = (await world.openBroker(2)).keep()
  const { topic } = await world.ask(topicCreate, {
    name: 'orders',
    partitions: 4,
    config: { retention: '1h' },
  })
  assert.deepEqual(topic.sets, [
    first.opened.setId,
    second.opened.setId,
    first.opened.setId,
    second.opened.setId,
  ])
  assert.equal(topic.policy.retentionMs, 3_600_000)
  assert.deepEqual([first.topics, second.topics], [[topic], [topic]])
  const routes = await world.ask(metadata, { topics: ['orders', 'nothing'] })
  assert.deepEqual(routes.topics, [topic])
  assert.equal(routes.clusterId, coordinator.clusterId)
  const set = { id: first.opened.setId, leader: 1, epoch: first.epoch, address: 'broker:7711' }
  assert.deepEqual(routes.sets[0], set)
  assert.deepEqual(
    routes.brokers.map(({ id, alive }) => [id, alive]),
    [
      [1, true],
      [2, true],
    ],
  )
  assert.deepEqual((await world.ask(metadata, {})).topics, [topic])
  const { topics, partitions, liveBrokers } = coordinator.health()
  assert.deepEqual([topics, partitions, liveBrokers], [1, 4, 2])
})

void test('a change is answered only when every broker with a session has applied it, and shows only then', async () => {
  const world = new CoordinatorWorld()
  await world.start()
  const quick = (await world.openBroker(1)).keep()
  const slow = await world.openBroker(2)
  const client = await world.connect()
  let answered = false
  const created = client
    .call(topicCreate, { name: 'a', partitions: 2 }, { timeoutMs: 60_000 })
    .then(() => (answered = true))
  await world.scheduler.run(500)
  assert.deepEqual([quick.topics.length, answered], [1, false])
  assert.deepEqual((await world.ask(metadata, {})).topics, [])
  await world.during(slow.renew())
  await world.scheduler.run(500)
  assert.deepEqual(
    [slow.topics.length, answered],
    [1, false],
    'it was told, but has not said that it applied it',
  )
  await world.during(slow.renew())
  await world.during(created)
  assert.equal((await world.ask(metadata, {})).topics.length, 1)
})

void test('a change does not wait for a broker longer than its session lasts', async () => {
  const world = new CoordinatorWorld()
  await world.start()
  const stays = (await world.openBroker(1)).keep()
  const frozen = await world.openBroker(2)
  const startedMs = world.scheduler.monotonic()
  const { topic } = await world.ask(topicCreate, { name: 'a', partitions: 2 })
  const tookMs = world.scheduler.monotonic() - startedMs
  assert.ok(tookMs >= sessionMs - 100 && tookMs <= sessionMs + 100, `it took ${tookMs} ms`)
  assert.equal(stays.version, 2)
  const { sets } = await world.ask(metadata, {})
  assert.deepEqual(
    sets.find(({ id }) => id === frozen.opened.setId),
    { id: frozen.opened.setId, leader: 0, epoch: frozen.epoch, address: '' },
  )
  // It was cut off for a while and comes back under the same epoch.
  assert.deepEqual((await world.during(frozen.renew())).topics, [topic])
})

void test('a topic deleted and made again is another topic, and brokers are told both', async () => {
  const world = new CoordinatorWorld()
  await world.start()
  const broker = (await world.openBroker(1)).keep()
  const first = (await world.ask(topicCreate, { name: 'a', partitions: 1 })).topic
  assert.deepEqual(await world.ask(topicDelete, { name: 'a' }), { id: first.id })
  assert.deepEqual(broker.topics, [])
  await assert.rejects(world.ask(topicDelete, { name: 'a' }), refused('topic_not_found'))
  const second = (await world.ask(topicCreate, { name: 'a', partitions: 1 })).topic
  assert.equal(second.id, first.id + 1)
  assert.deepEqual(broker.topics, [second])
})

void test('a broker hears of changes of its own topics only, and keeps up with the version of all', async () => {
  const world = new CoordinatorWorld()
  await world.start()
  const first = (await world.openBroker(1)).keep()
  await world.ask(topicCreate, { name: 'a', partitions: 1 })
  const second = await world.openBroker(2)
  await world.during(second.renew())
  assert.deepEqual(second.topics, [])
  second.keep()
  const { topic } = await world.ask(topicCreate, { name: 'b', partitions: 1 })
  assert.deepEqual(topic.sets, [second.opened.setId])
  assert.deepEqual([first.version, second.version], [3, 3])
  assert.deepEqual(
    first.topics.map(({ name }) => name),
    ['a'],
  )
  const changed = await world.ask(topicSet, { name: 'a', partitions: 2 })
  assert.deepEqual(changed.topic.sets, [first.opened.setId, second.opened.setId])
  assert.deepEqual(
    second.topics.map(({ name }) => name),
    ['a', 'b'],
  )
})
