import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brokerOpen, metadata, type MqError, topicCreate } from '@popmq/protocol'
import { type CommitFault, MemoryRegistry } from './registry/memory-registry.ts'
import { CoordinatorWorld, refused, sessionMs } from './testing/coordinator-world.ts'

void test('a held request is answered at once when there is news, else within a third of the session', async () => {
  const world = new CoordinatorWorld()
  await world.start()
  const broker = await world.openBroker(1)
  const startedMs = world.scheduler.monotonic()
  const first = await world.during(broker.renew({ waitMs: 60_000 }))
  assert.ok(first.version > 0 && world.scheduler.monotonic() - startedMs < 100)
  const heldMs = world.scheduler.monotonic()
  const reply = await world.during(broker.renew({ waitMs: 60_000 }))
  assert.deepEqual(
    [reply, Math.round(world.scheduler.monotonic() - heldMs)],
    [{ version: first.version }, sessionMs / 3],
  )
})

void test('of two brokers with one id the second is refused while the first lives', async () => {
  const world = new CoordinatorWorld()
  await world.start()
  const first = (await world.openBroker(1)).keep()
  await world.scheduler.run(30_000)
  const twin = world.openBroker(1)
  await assert.rejects(twin, refused('broker_id_in_use', /broker:7711.*--id/))
  await assert.rejects(
    twin,
    ({ retryAfterMs }: MqError) => retryAfterMs !== undefined && retryAfterMs <= sessionMs,
  )
  assert.equal(first.ended, undefined)
})

void test('a killed broker is back at once under a new epoch, and the old one is fenced', async () => {
  const world = new CoordinatorWorld()
  await world.start()
  const killed = (await world.openBroker(1)).keep()
  await world.ask(topicCreate, { name: 'a', partitions: 1 })
  await killed.kill()
  await world.scheduler.run(10)
  const { sets, brokers } = await world.ask(metadata, {})
  assert.deepEqual([sets[0]?.leader, brokers[0]?.alive], [1, false])
  const back = await world.openBroker(1)
  assert.ok(back.epoch > killed.epoch)
  assert.equal(back.opened.setId, killed.opened.setId)
  await world.during(back.renew())
  assert.deepEqual(
    back.topics.map(({ name }) => name),
    ['a'],
  )
  await assert.rejects(world.during(back.renew({ epoch: killed.epoch })), refused('broker_fenced'))
})

void test('a broker whose messages are gone with its data directory is refused, one that held none is let in', async () => {
  const world = new CoordinatorWorld()
  await world.start()
  const lost = (await world.openBroker(1)).keep()
  await lost.kill()
  await world.scheduler.run(10)
  world.wipe(1)
  const back = (await world.openBroker(1)).keep()
  await world.ask(topicCreate, { name: 'a', partitions: 1 })
  await back.kill()
  await world.scheduler.run(10)
  world.wipe(1)
  await assert.rejects(world.openBroker(1), refused('data_missing', /partitions of 1 topics/))
})

void test('the same process may open again, and its held request under the old epoch is fenced at once', async () => {
  const world = new CoordinatorWorld()
  await world.start()
  const broker = await world.openBroker(1)
  broker.keep()
  await world.scheduler.run(100)
  const again = await world.openBroker(1, { incarnation: broker.incarnation })
  assert.ok(again.epoch > broker.epoch)
  await world.scheduler.run(10)
  assert.equal(broker.ended?.name, 'broker_fenced')
})

void test('a broker that leaves lets changes and successors through at once', async () => {
  const world = new CoordinatorWorld()
  await world.start()
  const stays = (await world.openBroker(1)).keep()
  const leaves = await world.openBroker(2)
  await world.during(leaves.renew({ leaving: true }))
  const startedMs = world.scheduler.monotonic()
  await world.ask(topicCreate, { name: 'a', partitions: 2 })
  assert.ok(world.scheduler.monotonic() - startedMs < 100)
  assert.equal(
    stays.topics[0]?.sets.every((set) => set === stays.opened.setId),
    true,
  )
  await world.openBroker(2)
})

void test('data of another cluster, or that knows more than the registry, is refused', async () => {
  const world = new CoordinatorWorld()
  const { clusterId } = await world.start()
  await assert.rejects(world.openBroker(1, { clusterId: 'another' }), refused('foreign_cluster'))
  await assert.rejects(
    world.openBroker(1, { clusterId, highestTopicId: 1 }),
    refused('registry_behind', /topic id 1/),
  )
  await assert.rejects(
    world.openBroker(1, { clusterId, highestEpoch: 1 }),
    refused('registry_behind', /epoch 1/),
  )
  const broker = await world.openBroker(1, { clusterId })
  await assert.rejects(
    world.during(broker.renew({ epoch: (broker.epoch + 1) as typeof broker.epoch })),
    refused('registry_behind'),
  )
  await assert.rejects(
    world.during(broker.renew({ appliedVersion: 2 })),
    refused('registry_behind', /version 2/),
  )
})

void test('a broker that is gone before its opening was written does not hold its id', async () => {
  let fault: CommitFault = 'none'
  const world = new CoordinatorWorld(new MemoryRegistry({ fault: () => fault }))
  await world.start()
  const caller = await world.connect()
  fault = 'dropped'
  const facts = { address: 'broker:7711', highestTopicId: 0, highestEpoch: 0 }
  const opening = caller.call(
    brokerOpen,
    { brokerId: 1, incarnation: 'gone', ...facts },
    { timeoutMs: 10_000 },
  )
  const lost = assert.rejects(opening, refused('connection_lost'))
  await world.scheduler.run(20)
  await world.during(caller.close())
  fault = 'none'
  await world.during(lost)
  await world.scheduler.run(1_000)
  const successor = await world.openBroker(1)
  assert.equal(successor.epoch, 2)
})
