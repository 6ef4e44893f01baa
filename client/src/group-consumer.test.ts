import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMqError } from '@popmq/protocol'
import type { GroupBatch } from './api/group-consumer.ts'
import type { TopicPartition } from './api/message.ts'
import { fill, take, texts, valuesOf } from './testing/orders.ts'
import { makeWorld } from './testing/world.ts'

const orders = { group: 'g', topics: ['orders'] }

void test('a member is given all partitions, reads from the first message, and commits what was handled', async () => {
  const world = await makeWorld()
  const { cluster, client, clock, until } = world
  cluster.addTopic('orders', 2)
  await fill(world, texts(3), 0)
  await fill(world, texts(3, 3), 1)
  const consumer = client.pullConsumer(orders)
  assert.equal(consumer.state, 'joining')
  assert.deepEqual(new Set(valuesOf(await take(world, consumer, 6))), new Set(texts(6)))
  assert.equal(consumer.state, 'member')
  await clock.run(3_000)
  const committed = (): number[] => consumer.committed().map(({ offset }) => offset)
  assert.deepEqual(committed(), [0, 0])
  await until(consumer.receive({ waitMs: 10 }))
  await clock.run(3_000)
  assert.deepEqual(committed(), [3, 3])
  await until(consumer.close())
  assert.deepEqual([...cluster.groups.group('g').progress.values()], [3, 3])
  assert.equal(consumer.state, 'left')
})

void test('a loop commits a batch once it asked for the next, or ended by itself', async () => {
  const world = await makeWorld()
  const { cluster, client, clock, until } = world
  cluster.addTopic('orders')
  await fill(world, texts(3))
  const consumer = client.pullConsumer(orders)
  const stop = new AbortController()
  const group = cluster.groups.group('g')
  const seen: unknown[] = []
  const loop = (async () => {
    for await (const batch of consumer.batches({ signal: stop.signal })) {
      seen.push(...valuesOf(batch.messages))
      await clock.run(2_500)
      assert.deepEqual(group.acts, [])
      stop.abort()
    }
  })()
  await until(loop)
  await clock.run(1_100)
  assert.deepEqual(seen, texts(3))
  assert.deepEqual([...group.progress.values()], [3])
})

void test('a loop that is left by an error, and a consumer that is closed unasked, commit nothing of the last batch', async () => {
  const world = await makeWorld()
  const { cluster, client, failure, until } = world
  cluster.addTopic('orders')
  await fill(world, texts(3))
  const group = cluster.groups.group('g')
  const thrower = client.pullConsumer(orders)
  const loop = (async () => {
    for await (const batch of thrower) throw new Error(`no ${batch.messages.length}`)
  })()
  assert.equal((await failure(loop)).message, 'no 3')
  await until(thrower.close())
  assert.deepEqual([...group.progress.values()], [0])
  const receiver = client.pullConsumer(orders)
  assert.deepEqual(valuesOf(await take(world, receiver, 3)), texts(3))
  await until(receiver.close())
  assert.deepEqual([...group.progress.values()], [0])
  assert.equal(group.acts.filter(({ what }) => what === 'leave').length, 2)
})

void test('closing waits for the batch that a loop has in hand, commits it, then leaves', async () => {
  const world = await makeWorld()
  const { cluster, client, clock, until } = world
  cluster.addTopic('orders')
  await fill(world, texts(3))
  const consumer = client.pullConsumer(orders)
  const group = cluster.groups.group('g')
  let closing: Promise<void> | undefined
  const loop = (async () => {
    for await (const _ of consumer) {
      closing = consumer.close()
      await clock.run(5_000)
      assert.equal(group.members.size, 1)
    }
  })()
  await until(loop)
  await until(Promise.resolve(closing))
  const acts = group.acts.map(({ what, partitions }) => [what, partitions[0]?.offset])
  assert.deepEqual(acts, [
    ['commit', 3],
    ['leave', undefined],
  ])
})

void test('closing waits for a batch no longer than it is told', async () => {
  const world = await makeWorld()
  const { cluster, client, clock, until } = world
  cluster.addTopic('orders')
  await fill(world, texts(3))
  const consumer = client.pullConsumer(orders)
  const started = clock.monotonic()
  const loop = (async () => {
    for await (const _ of consumer) await consumer.close({ drainMs: 700 })
  })()
  await until(loop)
  assert.ok(clock.monotonic() - started < 1_500)
  assert.deepEqual([...cluster.groups.group('g').progress.values()], [0])
})

void test('a manual member commits what it is told, also while it reads on', async () => {
  const world = await makeWorld()
  const { cluster, client, clock, until, failure } = world
  cluster.addTopic('orders')
  await fill(world, texts(4))
  const consumer = client.pullConsumer({ ...orders, commit: 'manual' })
  const group = cluster.groups.group('g')
  assert.equal((await take(world, consumer, 2)).length, 2)
  await clock.run(3_000)
  await until(consumer.receive({ max: 1 }))
  assert.deepEqual(group.acts, [])
  await until(consumer.commit())
  assert.deepEqual([...group.progress.values()], [3])
  await until(consumer.commit([{ topic: 'orders', partition: 0, offset: 4 }]))
  assert.deepEqual(consumer.committed(), [{ topic: 'orders', partition: 0, offset: 4 }])
  const beyond = await failure(consumer.commit([{ topic: 'orders', partition: 0, offset: 5 }]))
  assert.ok(isMqError(beyond, 'offset_out_of_range'))
  assert.equal(beyond.facts['high'], 4)
  const below = await failure(consumer.commit([{ topic: 'orders', partition: 0, offset: 1 }]))
  assert.equal(below.name, 'offset_below_progress')
  const strange = await failure(consumer.commit([{ topic: 'orders', partition: 7, offset: 1 }]))
  assert.equal(strange.name, 'grant_fenced')
})

void test('commits of batches overlap, and share requests', async () => {
  const world = await makeWorld()
  const { cluster, client, clock, until } = world
  cluster.addTopic('orders')
  await fill(world, texts(10))
  const size = cluster.log('orders').records[0]?.length ?? 0
  const consumer = client.pullConsumer({ ...orders, commit: 'manual', maxBytes: size })
  cluster.fault = ({ name }) => (name === 'commit' ? { kind: 'delay', ms: 500 } : undefined)
  const commits: Promise<void>[] = []
  const loop = (async () => {
    for await (const batch of consumer) {
      commits.push(batch.commit())
      if (commits.length === 10) return
    }
  })()
  await until(loop)
  await until(Promise.all(commits))
  assert.ok(cluster.count('commit') <= 3, `${cluster.count('commit')} requests`)
  assert.deepEqual([...cluster.groups.group('g').progress.values()], [10])
  await clock.run(1)
})

void test('from is resolved once, by the member that is first', async () => {
  const world = await makeWorld()
  const { cluster, client, until, clock } = world
  cluster.addTopic('orders', 2)
  await fill(world, texts(5), 0)
  const first = client.pullConsumer({ ...orders, from: 'latest' })
  assert.deepEqual(await until(first.receive({ waitMs: 1_000 })), [])
  assert.deepEqual([...cluster.groups.group('g').progress.values()], [5, 0])
  await until(first.close())
  await fill(world, texts(1, 5), 0)
  const second = client.pullConsumer({ ...orders, from: 'earliest' })
  assert.deepEqual(valuesOf(await take(world, second, 1)), ['5'])
  await clock.run(10)
  const other = client.pullConsumer({ group: 'h', topics: ['orders'], from: 3 })
  assert.deepEqual(valuesOf(await take(world, other, 3)), ['3', '4', '5'])
})

void test('what was filtered is committed too', async () => {
  const world = await makeWorld()
  const { cluster, client, until, clock } = world
  cluster.addTopic('orders')
  await fill(world, ['0', '2', '4'])
  const consumer = client.pullConsumer({ ...orders, tags: ['odd'] })
  assert.deepEqual(await until(consumer.receive({ waitMs: 500 })), [])
  await clock.run(2_000)
  assert.deepEqual([...cluster.groups.group('g').progress.values()], [3])
})

void test('messages come after the member was told of its partitions', async () => {
  const world = await makeWorld()
  const { cluster, client } = world
  cluster.addTopic('orders', 2)
  await fill(world, texts(1))
  const assigned: TopicPartition[] = []
  const batches: GroupBatch[] = []
  const consumer = client.pullConsumer({ ...orders, onAssign: (given) => assigned.push(...given) })
  await take(world, consumer, 1)
  assert.deepEqual(batches, [])
  assert.deepEqual(assigned, [
    { topic: 'orders', partition: 0 },
    { topic: 'orders', partition: 1 },
  ])
})
