import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMqError, MqError, offset } from '@popmq/protocol'
import { fill, take, texts, valuesOf } from './testing/orders.ts'
import { makeWorld } from './testing/world.ts'

const orders = { group: 'g', topics: ['orders'] }

void test('what a coordinator that took over says is held is read again, though it was released before', async () => {
  // Whether the one before told that it knew of the release.
  for (const isTold of [true, false]) {
    const world = await makeWorld()
    const { cluster, client, clock, until } = world
    cluster.addTopic('orders', 2)
    await fill(world, texts(1), 1)
    const group = cluster.groups.group('g')
    const consumer = client.pullConsumer(orders)
    await take(world, consumer, 1)
    const before = group.members.get('m1')?.grants.find(({ partition }) => partition === 1)
    assert.ok(before)
    group.join({ ...orders, mode: 'pull', drainMs: 0 })
    await clock.run(1_000)
    if (!isTold)
      cluster.fault = ({ name }) => (name === 'group_session' ? { kind: 'swallow' } : undefined)
    await until(consumer.receive({ waitMs: 1_000 }))
    assert.equal(group.acts.at(-1)?.what, 'release')
    group.takeOver('m1', { ...before, offset: offset(1) })
    cluster.fault = () => undefined
    await fill(world, texts(2, 1), 1)
    assert.deepEqual(valuesOf(await until(consumer.receive({ waitMs: 9_000 }))), texts(2, 1))
  }
})

void test('a partition whose last commit cannot be made is given back all the same once its drain is over', async () => {
  const world = await makeWorld()
  const { cluster, client, clock, until } = world
  cluster.addTopic('orders', 2)
  await fill(world, texts(3), 1)
  const group = cluster.groups.group('g')
  const first = client.pullConsumer({ ...orders, drainMs: 1_000 })
  await take(world, first, 3)
  const error = new MqError('registry_unavailable', 'no registry')
  cluster.fault = ({ name }) => (name === 'commit' ? { kind: 'refuse', error } : undefined)
  const second = client.pullConsumer(orders)
  const idle = first.receive({ waitMs: 60_000 })
  await clock.run(20_000)
  assert.deepEqual(group.acts, [])
  await clock.run(30_000)
  assert.deepEqual(
    group.acts.map(({ what, member }) => [what, member]),
    [['release', 'm1']],
  )
  assert.deepEqual(valuesOf(await take(world, second, 3)), texts(3))
  await until(idle)
})

void test('a commit is tried through a failover, and answered once it is durable', async () => {
  const world = await makeWorld()
  const { cluster, client, clock, until } = world
  cluster.addTopic('orders')
  await fill(world, texts(3))
  const consumer = client.pullConsumer({ ...orders, commit: 'manual' })
  await take(world, consumer, 3)
  const faults = ['lose_request', 'lose_reply', 'lose_request'] as const
  const left = [...faults]
  cluster.fault = ({ name }) => {
    const kind = name === 'commit' ? left.shift() : undefined
    return kind === undefined ? undefined : { kind }
  }
  await until(consumer.commit())
  assert.deepEqual([...cluster.groups.group('g').progress.values()], [3])
  assert.equal(cluster.count('commit'), faults.length + 1)
  await clock.run(1)
})

void test('a partition whose commit is refused as another one’s delivers nothing of what was fetched ahead', async () => {
  const world = await makeWorld()
  const { cluster, client, clock, until, failure } = world
  cluster.addTopic('orders')
  await fill(world, texts(4))
  const group = cluster.groups.group('g')
  const consumer = client.pullConsumer({ ...orders, commit: 'manual', maxBytes: 1 })
  assert.deepEqual(valuesOf(await until(consumer.receive({ max: 1 }))), ['0'])
  await clock.run(300)
  // It was given away, and this member has not heard of it yet.
  const member = group.members.get('m1')
  assert.ok(member)
  member.grants = []
  assert.ok(isMqError(await failure(consumer.commit()), 'grant_fenced'))
  assert.deepEqual(await until(consumer.receive({ waitMs: 200 })), [])
})
