import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deferred } from '@popmq/kit'
import { isMqError, MqError } from '@popmq/protocol'
import type { GroupBatch } from './api/group-consumer.ts'
import type { TopicPartition } from './api/message.ts'
import { fill, take, texts, valuesOf } from './testing/orders.ts'
import { makeWorld } from './testing/world.ts'

const orders = { group: 'g', topics: ['orders'] }
const zero = { topic: 'orders', partition: 0 }
const one = { topic: 'orders', partition: 1 }

void test('a revoked partition is finished, committed, then released, and the next member goes on there', async () => {
  const world = await makeWorld()
  const { cluster, client, clock } = world
  cluster.addTopic('orders', 2)
  await fill(world, texts(4), 0)
  await fill(world, texts(4, 4), 1)
  const group = cluster.groups.group('g')
  const first = client.pullConsumer(orders)
  assert.equal((await take(world, first, 8)).length, 8)
  const second = client.pullConsumer(orders)
  await clock.run(4_000)
  assert.deepEqual(group.acts, [], 'it waits for what is in hand')
  assert.deepEqual(
    first.positions().map(({ partition }) => partition),
    [0],
  )
  await fill(world, ['8'], 1)
  const more = first.receive({ waitMs: 100 })
  const [message] = await take(world, second, 1)
  assert.equal(message?.value, '8')
  assert.deepEqual(await world.until(more), [])
  const acts = group.acts.filter(({ member }) => member === 'm1')
  assert.deepEqual(acts.slice(0, 2), [
    { what: 'commit', member: 'm1', partitions: [{ partition: 1, offset: 4 }] },
    { what: 'release', member: 'm1', partitions: [{ partition: 1 }] },
  ])
})

void test('the user has a window to finish, which ends with the drain', async () => {
  const world = await makeWorld()
  const { cluster, client, clock } = world
  cluster.addTopic('orders', 2)
  await fill(world, texts(4), 1)
  const group = cluster.groups.group('g')
  const told: unknown[] = []
  const signals: AbortSignal[] = []
  const forever = new Promise<void>(() => undefined)
  const onRevoke = (partitions: readonly TopicPartition[], signal: AbortSignal) => {
    told.push(...partitions)
    signals.push(signal)
    return forever
  }
  const first = client.pullConsumer({ ...orders, commit: 'manual', drainMs: 3_000, onRevoke })
  assert.equal((await take(world, first, 4)).length, 4)
  const second = client.pullConsumer(orders)
  await clock.run(2_500)
  assert.deepEqual(told, [one])
  await world.until(first.commit([{ ...one, offset: 2 }]))
  assert.deepEqual([signals[0]?.aborted, group.acts.length], [false, 1])
  assert.deepEqual(valuesOf(await take(world, second, 2)), ['2', '3'])
  assert.equal(signals[0]?.aborted, true)
})

void test('closing asks the user to finish too, and leaves when he has', async () => {
  const world = await makeWorld()
  const { cluster, client, clock, until } = world
  cluster.addTopic('orders', 2)
  const group = cluster.groups.group('g')
  const told: TopicPartition[] = []
  const finishing = deferred()
  const onRevoke = (partitions: readonly TopicPartition[]): Promise<void> => {
    told.push(...partitions)
    return finishing.promise
  }
  const consumer = client.pullConsumer({ ...orders, onRevoke })
  await until(consumer.receive({ waitMs: 100 }))
  const closing = consumer.close()
  await clock.run(5_000)
  assert.deepEqual([told, group.members.size, consumer.state], [[zero, one], 1, 'leaving'])
  finishing.resolve()
  await until(closing)
  assert.deepEqual([group.members.size, consumer.state], [0, 'left'])
})

void test('a topic that is deleted is an error of reading', async () => {
  const { cluster, client, until, failure } = await makeWorld()
  cluster.addTopic('orders')
  const consumer = client.pullConsumer({ ...orders, waitMs: 1_000 })
  await until(consumer.receive({ waitMs: 100 }))
  cluster.topics.delete('orders')
  assert.equal((await failure(consumer.receive({ waitMs: 60_000 }))).name, 'topic_not_found')
  await until(consumer.close())
})

void test('a member closes in bounded time though no coordinator answers', async () => {
  const world = await makeWorld()
  const { cluster, client, clock, until } = world
  cluster.addTopic('orders')
  await fill(world, texts(2))
  const consumer = client.pullConsumer({ ...orders, drainMs: 3_000 })
  await take(world, consumer, 2)
  cluster.fault = () => ({ kind: 'swallow' })
  const waiting = consumer.receive({ waitMs: 10 })
  await until(waiting)
  const started = clock.monotonic()
  await until(consumer.close())
  assert.ok(clock.monotonic() - started <= 8_000)
})

void test('a manual member keeps a revoked partition until all that it delivered is committed', async () => {
  const world = await makeWorld()
  const { cluster, client, clock } = world
  cluster.addTopic('orders', 2)
  await fill(world, texts(4), 1)
  const group = cluster.groups.group('g')
  const first = client.pullConsumer({ ...orders, commit: 'manual' })
  await take(world, first, 4)
  client.pullConsumer(orders)
  await clock.run(1_000)
  await world.until(first.commit([{ ...one, offset: 3 }]))
  await clock.run(1_000)
  assert.deepEqual(
    group.acts.map(({ what }) => what),
    ['commit'],
  )
  await world.until(first.commit([{ ...one, offset: 4 }]))
  await clock.run(100)
  assert.deepEqual(
    group.acts.map(({ what }) => what),
    ['commit', 'commit', 'release'],
  )
})

void test('a member that is not known any more has lost everything, and joins again by itself', async () => {
  const world = await makeWorld()
  const { cluster, client, clock, until, failure } = world
  cluster.addTopic('orders')
  await fill(world, texts(4))
  const lost: TopicPartition[] = []
  const group = cluster.groups.group('g')
  const consumer = client.pullConsumer({
    ...orders,
    commit: 'manual',
    onLost: (all) => lost.push(...all),
  })
  let batch: GroupBatch | undefined
  const loop = (async () => {
    for await (const each of consumer) {
      batch = each
      return
    }
  })()
  await until(loop)
  group.expire('m1')
  await clock.run(3_000)
  assert.deepEqual(lost, [zero])
  assert.ok(batch)
  assert.equal((await failure(batch.commit())).name, 'member_unknown')
  assert.deepEqual([...group.members.keys()], ['m2'])
  assert.deepEqual(valuesOf(await take(world, consumer, 4)), texts(4))
})

void test('while no coordinator answers a member goes on until its session may be over, then waits, then goes on', async () => {
  const world = await makeWorld()
  const { cluster, client, clock, until } = world
  cluster.addTopic('orders')
  await fill(world, texts(2))
  const lost: TopicPartition[] = []
  const consumer = client.pullConsumer({ ...orders, onLost: (all) => lost.push(...all) })
  await take(world, consumer, 2)
  cluster.fault = ({ name }) => (name.startsWith('group_') ? { kind: 'swallow' } : undefined)
  await clock.run(2_000)
  await fill(world, ['2'])
  assert.equal(consumer.state, 'member')
  assert.deepEqual(valuesOf(await take(world, consumer, 1)), ['2'])
  await clock.run(5_000)
  assert.equal(consumer.state, 'suspended')
  await fill(world, ['3'])
  assert.deepEqual(await until(consumer.receive({ waitMs: 2_000 })), [])
  cluster.fault = () => undefined
  assert.deepEqual(valuesOf(await take(world, consumer, 1)), ['3'])
  assert.equal(consumer.state, 'member')
  assert.deepEqual(lost, [])
  assert.equal(cluster.count('group_join'), 1)
})

void test('a fenced fetch suspends its partition until the coordinator says what holds', async () => {
  const world = await makeWorld()
  const { cluster, client, clock, until } = world
  cluster.addTopic('orders', 2)
  const group = cluster.groups.group('g')
  const consumer = client.pullConsumer({ ...orders, waitMs: 500 })
  await until(consumer.receive({ waitMs: 100 }))
  cluster.fault = ({ name }) => (name === 'group_session' ? { kind: 'swallow' } : undefined)
  cluster.fence('g', zero)
  await clock.run(1_000)
  await fill(world, ['0'], 0)
  await fill(world, ['1'], 1)
  assert.deepEqual(valuesOf(await until(consumer.receive({ waitMs: 500 }))), ['1'])
  assert.deepEqual(await until(consumer.receive({ waitMs: 500 })), [])
  group.reset(1, 0, 0)
  cluster.fault = () => undefined
  assert.deepEqual(valuesOf(await take(world, consumer, 1)), ['0'])
})

void test('after a reset reading goes on there, and what was in hand cannot be committed', async () => {
  const world = await makeWorld()
  const { cluster, client, clock, until, failure } = world
  cluster.addTopic('orders')
  await fill(world, texts(6))
  const group = cluster.groups.group('g')
  const consumer = client.pullConsumer({ ...orders, commit: 'manual' })
  const batches: GroupBatch[] = []
  const loop = (async () => {
    for await (const batch of consumer) {
      batches.push(batch)
      if (batches.length > 1) return
      await batch.commit()
      group.reset(1, 0, 2)
      await clock.run(100)
    }
  })()
  await until(loop)
  const [before, after] = batches
  assert.ok(before && after)
  assert.deepEqual(valuesOf(after.messages), texts(4, 2))
  const error = await failure(before.commit())
  assert.ok(isMqError(error, 'grant_fenced'))
  assert.deepEqual([error.facts['topic'], error.facts['partition']], ['orders', 0])
  await until(after.commit())
  assert.deepEqual([...group.progress.values()], [6])
})

void test('a paused topic delivers nothing, and what was fetched when it is resumed', async () => {
  const world = await makeWorld()
  const { cluster, client, until, clock } = world
  cluster.addTopic('orders')
  const group = cluster.groups.group('g')
  const consumer = client.pullConsumer(orders)
  await until(consumer.receive({ waitMs: 100 }))
  group.pause(1, true)
  await clock.run(100)
  await fill(world, texts(2))
  assert.deepEqual(await until(consumer.receive({ waitMs: 3_000 })), [])
  group.pause(1, false)
  assert.deepEqual(valuesOf(await take(world, consumer, 2)), texts(2))
})

void test('a refusal to join is an error of reading; one that may pass is waited for', async () => {
  const world = await makeWorld()
  const { cluster, client, until, failure, clock } = world
  cluster.addTopic('orders')
  await fill(world, texts(1))
  const missing = client.pullConsumer({ group: 'g', topics: ['nowhere'] })
  assert.equal((await failure(missing.receive())).name, 'topic_not_found')
  const conflict = new MqError('subscription_conflict', 'other tags')
  cluster.fault = ({ name }) =>
    name === 'group_join' ? { kind: 'refuse', error: conflict } : undefined
  const consumer = client.pullConsumer(orders)
  for (const _ of [1, 2]) {
    assert.equal((await failure(consumer.receive())).name, 'subscription_conflict')
  }
  await until(consumer.close())
  cluster.fault = () => undefined
  const first = client.pullConsumer({ ...orders, member: 'a' })
  assert.equal((await take(world, first, 1)).length, 1)
  const second = client.pullConsumer({ ...orders, member: 'a' })
  const waiting = failure(second.receive({ waitMs: 60_000 }))
  await clock.run(20_000)
  assert.equal((await waiting).name, 'member_in_use')
  const third = client.pullConsumer({ ...orders, member: 'a' })
  const given = take(world, third, 1)
  await clock.run(5_000)
  await until(first.close())
  assert.equal((await given).length, 1)
})

void test('members that broadcast all read everything; one without a name commits nothing', async () => {
  const world = await makeWorld()
  const { cluster, client, until, failure, clock } = world
  cluster.addTopic('orders')
  await fill(world, texts(2))
  const consumer = client.pullConsumer({ ...orders, broadcast: true, from: 1 })
  assert.deepEqual(valuesOf(await take(world, consumer, 1)), ['1'])
  await until(consumer.receive({ waitMs: 10 }))
  await clock.run(2_000)
  assert.equal((await failure(consumer.commit())).name, 'invalid_request')
  await until(consumer.close())
  assert.equal(cluster.count('commit'), 0)
})
