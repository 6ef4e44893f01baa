import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryStorage } from '@popmq/kit/testing'
import {
  brokerSession,
  metadata,
  type MqError,
  producerOpen,
  topicCreate,
  topicDelete,
} from '@popmq/protocol'
import { EmbeddedRegistry } from './registry/embedded-registry.ts'
import { type CommitFault, MemoryRegistry } from './registry/memory-registry.ts'
import { CoordinatorWorld, refused } from './testing/coordinator-world.ts'

void test('after a change of coordinator topics, ids and epochs go on where they were', async () => {
  const world = new CoordinatorWorld()
  const first = await world.start()
  const broker = (await world.openBroker(1)).keep()
  const { topic } = await world.ask(topicCreate, { name: 'a', partitions: 2 })
  const producers = [
    (await world.ask(producerOpen, {})).producerId,
    (await world.ask(producerOpen, {})).producerId,
  ]
  await world.ask(topicDelete, { name: 'a' })
  const { topic: kept } = await world.ask(topicCreate, { name: 'b', partitions: 2 })
  await world.during(first.close())
  await world.scheduler.run(10)
  assert.equal(broker.ended?.name, 'shutting_down')
  const second = await world.start()
  assert.equal(second.clusterId, first.clusterId)
  assert.deepEqual((await world.ask(metadata, {})).topics, [kept])
  assert.equal((await world.ask(metadata, {})).sets[0]?.address, 'broker:7711')
  // Another process with the id: let in only if it holds the data of the last one, or when the time is over.
  await assert.rejects(
    world.openBroker(1, { highestEpoch: broker.epoch - 1 }),
    refused('broker_id_in_use'),
  )
  const back = (
    await world.openBroker(1, { highestEpoch: broker.epoch, highestTopicId: kept.id })
  ).keep()
  assert.ok(back.epoch > broker.epoch)
  const later = await world.ask(topicCreate, { name: 'a', partitions: 1 })
  assert.ok(later.topic.id > kept.id && kept.id > topic.id)
  const { producerId } = await world.ask(producerOpen, {})
  assert.ok(producerId > Math.max(...producers))
})

void test('a broker carries on through a change of coordinator without a new epoch', async () => {
  const world = new CoordinatorWorld()
  const first = await world.start()
  const broker = (await world.openBroker(1)).keep()
  const { topic } = await world.ask(topicCreate, { name: 'a', partitions: 1 })
  await world.during(first.close())
  await world.start()
  const caller = await world.connect()
  const request = { brokerId: 1, epoch: broker.epoch, appliedVersion: broker.version, waitMs: 0 }
  assert.deepEqual(
    (await world.during(caller.call(brokerSession, request, { timeoutMs: 1_000 }))).reply,
    { version: 2 },
  )
  const fresh = await world.during(
    caller.call(brokerSession, { ...request, appliedVersion: 0 }, { timeoutMs: 1_000 }),
  )
  const { version, topics, groups, handleKeys } = fresh.reply
  assert.deepEqual([version, topics, groups], [2, [topic], []])
  assert.deepEqual(handleKeys, broker.handleKeys)
})

void test('producers get ids of their own, however many ask at once', async () => {
  const world = new CoordinatorWorld()
  await world.start()
  const caller = await world.connect()
  const ids: number[] = []
  for (let round = 0; round < 5; round += 1) {
    const asked = Array.from({ length: 500 }, () =>
      caller.call(producerOpen, {}, { timeoutMs: 10_000 }),
    )
    for (const { reply } of await world.during(Promise.all(asked))) ids.push(reply.producerId)
  }
  assert.equal(new Set(ids).size, 2_500)
  assert.equal(Math.min(...ids), 1)
  assert.equal(Math.max(...ids), 2_500)
})

void test('a coordinator whose write has no certain outcome leads no more, says so, and begins anew', async () => {
  let fault: CommitFault = 'none'
  const world = new CoordinatorWorld(new MemoryRegistry({ fault: () => fault }))
  const coordinator = await world.start()
  const broker = (await world.openBroker(1)).keep()
  const { leaderEpoch } = coordinator.health()
  fault = 'dropped'
  await assert.rejects(
    world.ask(topicCreate, { name: 'a', partitions: 1 }),
    refused('registry_unavailable'),
  )
  await assert.rejects(world.ask(metadata, {}), refused('not_coordinator'))
  await world.scheduler.run(10)
  assert.equal(broker.ended?.name, 'not_coordinator')
  assert.deepEqual([coordinator.health().isLeading, world.fatal.length], [false, 0])
  fault = 'none'
  await world.scheduler.run(30_000)
  assert.ok(coordinator.health().leaderEpoch > leaderEpoch, 'it leads again')
  assert.deepEqual((await world.ask(metadata, {})).topics, [])
})

void test('a change that is cut short by the stop of the coordinator is said to be unsure, and is there afterwards', async () => {
  const world = new CoordinatorWorld()
  const first = await world.start()
  await world.openBroker(1)
  const client = await world.connect()
  const created = client.call(topicCreate, { name: 'a', partitions: 1 }, { timeoutMs: 60_000 })
  const failed = assert.rejects(created, refused('timed_out', /the change was made/))
  await world.scheduler.run(50)
  await world.during(first.close())
  await world.during(failed)
  await world.start()
  assert.equal((await world.ask(metadata, {})).topics.length, 1)
})

void test('a failed sync of the registry ends the coordinator: the write is unsure, the process is told why', async () => {
  const storage = new MemoryStorage()
  const fatal: string[] = []
  const onFatal = (error: MqError): void => void fatal.push(error.name)
  const world = new CoordinatorWorld(await EmbeddedRegistry.open({ storage, onFatal }))
  await world.start({ onFatal })
  await world.openBroker(1)
  storage.failNext('sync')
  const startedMs = world.scheduler.monotonic()
  await assert.rejects(
    world.ask(topicCreate, { name: 'a', partitions: 1 }),
    refused('registry_unavailable'),
  )
  assert.ok(world.scheduler.monotonic() - startedMs < 200, 'it does not go on trying')
  await assert.rejects(world.ask(metadata, {}), refused('not_coordinator'))
  assert.deepEqual(fatal, ['disk_failed'])
})
