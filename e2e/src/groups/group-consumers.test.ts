import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Client, GroupConsumer, GroupConsumerOptions, Producer } from '@popmq/client'
import { GroupWorld } from './group-world.ts'

const partitions = 6

interface Reader {
  readonly consumer: GroupConsumer
  readonly seen: string[]
  readonly ended: Promise<void>
}

/** Reads on until it is closed; notes `partition@offset`. */
function read(client: Client, options: Partial<GroupConsumerOptions> = {}): Reader {
  const consumer = client.pullConsumer({ group: 'billing', topics: ['orders'], ...options })
  const seen: string[] = []
  const loop = async (): Promise<void> => {
    for await (const { messages } of consumer) {
      for (const { partition, offset } of messages) seen.push(`${partition}@${offset}`)
    }
  }
  return { consumer, seen, ended: loop() }
}

async function setUp(count: number): Promise<{ world: GroupWorld; client: Client }> {
  const world = await GroupWorld.start()
  const client = await world.connect()
  await world.until(client.admin().createTopic('orders', { partitions }))
  await send(world, client, count)
  return { world, client }
}

async function send(world: GroupWorld, through: Client | Producer, count: number): Promise<void> {
  const messages = Array.from({ length: count }, (_, at) => {
    return { topic: 'orders', value: at, partition: at % partitions }
  })
  const producer = 'producer' in through ? through.producer() : through
  await world.until(producer.sendBatch(messages))
}

function held({ consumer }: Reader): number {
  return consumer.positions().length
}

void test('members share a topic; one that joins and one that leaves cost no message and no duplicate', async () => {
  const { world, client } = await setUp(60)
  const first = read(client)
  await world.clock.run(2_000)
  assert.equal(first.seen.length, 60)
  const second = read(await world.connect())
  await world.clock.run(10_000)
  assert.deepEqual([held(first), held(second)], [3, 3])
  await send(world, client, 60)
  await world.clock.run(2_000)
  await world.until(first.consumer.close())
  await first.ended
  await world.clock.run(5_000)
  assert.equal(held(second), 6)
  await send(world, client, 60)
  await world.clock.run(2_000)
  const all = [...first.seen, ...second.seen]
  assert.equal(all.length, 180)
  assert.equal(new Set(all).size, 180)
  await world.until(second.consumer.close())
  const lag = await world.until(client.admin().groups().lag('billing'))
  assert.deepEqual(
    lag.map(({ committed, messages, lagMs }) => [committed, messages, lagMs]),
    Array.from({ length: partitions }, () => [30, 0, 0]),
  )
})

void test('a coordinator that restarts moves no partition, and reading goes on meanwhile', async () => {
  const { world, client } = await setUp(12)
  const producer = client.producer()
  await send(world, producer, 6)
  const first = read(client)
  const second = read(await world.connect())
  await world.clock.run(10_000)
  const before = [first, second].map(({ consumer }) =>
    consumer.positions().map((at) => at.partition),
  )
  await world.until(world.stopCoordinator())
  await send(world, producer, 12)
  await world.clock.run(1_000)
  assert.equal(first.seen.length + second.seen.length, 30)
  await world.until(world.startCoordinator())
  await world.clock.run(10_000)
  const after = [first, second].map(({ consumer }) =>
    consumer.positions().map((at) => at.partition),
  )
  assert.deepEqual(after, before)
  await send(world, client, 12)
  await world.clock.run(2_000)
  assert.equal(new Set([...first.seen, ...second.seen]).size, 42)
  assert.equal(first.seen.length + second.seen.length, 42)
  await world.until(client.close())
})

void test('a group begins where its first member says; a reset leads back; a pause holds', async () => {
  const { world, client } = await setUp(12)
  const groups = client.admin().groups()
  const reader = read(client, { from: 'latest' })
  await world.clock.run(2_000)
  assert.deepEqual(reader.seen, [])
  const moves = await world.until(
    groups.resetProgress('billing', 'orders', { to: 1, dryRun: true }),
  )
  assert.deepEqual(moves[0], { partition: 0, from: 2, to: 1 })
  await world.clock.run(2_000)
  assert.deepEqual(reader.seen, [])
  await world.until(groups.resetProgress('billing', 'orders', { to: 1, partitions: [0, 3] }))
  await world.clock.run(2_000)
  assert.deepEqual(new Set(reader.seen), new Set(['0@1', '3@1']))
  const paused = await world.until(groups.pause('billing'))
  assert.deepEqual(paused, [{ name: 'orders', mode: 'pull', isPaused: true }])
  await world.clock.run(1_000)
  await send(world, client, 6)
  await world.clock.run(3_000)
  assert.equal(reader.seen.length, 2)
  const lag = await world.until(groups.lag('billing'))
  assert.ok(lag.every(({ messages, lagMs }) => messages === 1 && (lagMs ?? 0) >= 3_000))
  await world.until(groups.resume('billing', { topic: 'orders' }))
  await world.clock.run(1_000)
  assert.equal(reader.seen.length, 8)
  await world.until(client.close())
})

void test('a batch from before a reset cannot be committed, one from after it can', async () => {
  const { world, client } = await setUp(12)
  const consumer = client.pullConsumer({ group: 'billing', topics: ['orders'], commit: 'manual' })
  const refused: string[] = []
  const loop = async (): Promise<void> => {
    for await (const batch of consumer) {
      if (refused.length > 0) return batch.commit()
      await client.admin().groups().resetProgress('billing', 'orders', { to: 1 })
      await batch.commit().catch((error: Error) => refused.push(error.name))
    }
  }
  await world.until(loop())
  assert.deepEqual(refused, ['grant_fenced'])
  const lag = await world.until(client.admin().groups().lag('billing'))
  assert.ok(lag.some(({ committed }) => committed === 2))
  assert.ok(lag.every(({ committed }) => committed >= 1))
  await world.until(client.close())
})

void test('two members with one name: the second is refused by name; once the first has gone it is taken', async () => {
  const { world, client } = await setUp(6)
  const first = read(client, { member: 'a' })
  await world.clock.run(2_000)
  const other = await world.connect()
  const second = other.pullConsumer({ group: 'billing', topics: ['orders'], member: 'a' })
  const refusal = world.until(second.receive({ waitMs: 60_000 }))
  await assert.rejects(refusal, { name: 'member_in_use' })
  const third = read(other, { member: 'a' })
  await world.until(first.consumer.close())
  await world.clock.run(10_000)
  assert.equal(held(third), partitions)
  await world.until(other.close())
  await world.until(client.close())
})

void test('a member that reads a topic in another way is refused', async () => {
  const { world, client } = await setUp(6)
  read(client)
  await world.clock.run(2_000)
  const other = client.pullConsumer({ group: 'billing', topics: ['orders'], tags: ['eu'] })
  await assert.rejects(world.until(other.receive()), { name: 'subscription_conflict' })
  await world.until(client.close())
})

void test('what is said of a group names members, rebalances and policy; it is deleted when it is empty', async () => {
  const { world, client } = await setUp(6)
  const groups = client.admin().groups()
  await world.until(groups.setConfig('billing', { assignor: 'range', sessionTimeout: '3s' }))
  const reader = read(client, { member: 'a' })
  await world.clock.run(3_000)
  const { policy, memberList, progress, topics } = await world.until(groups.describe('billing'))
  assert.deepEqual([policy.assignor, policy.sessionMs], ['range', 3_000])
  assert.deepEqual(
    memberList.map(({ member, state, partitions: all }) => [member, state, all.length]),
    [['a', 'live', 6]],
  )
  assert.deepEqual([progress.length, topics[0]?.name], [6, 'orders'])
  const rebalances = await world.until(groups.rebalances('billing'))
  assert.ok(rebalances.some(({ moves }) => moves.some(({ topic }) => topic === 'orders')))
  assert.deepEqual(
    (await world.until(groups.list())).map(({ name }) => name),
    ['billing'],
  )
  await assert.rejects(world.until(groups.delete('billing')), { name: 'group_in_use' })
  await world.until(reader.consumer.close())
  await world.until(groups.delete('billing'))
  await assert.rejects(world.until(groups.describe('billing')), { name: 'group_not_found' })
  await world.until(client.close())
})
