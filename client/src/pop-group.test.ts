import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MqError } from '@popmq/protocol'
import { fill, texts, valuesOf } from './testing/orders.ts'
import { mail, popOne, popWorld, refusal, resultsOf } from './testing/pop-world.ts'
import { makeWorld } from './testing/world.ts'

void test('the group is opened once, by whatever is done first', async () => {
  const world = await popWorld()
  const { client, until, cluster } = world
  await fill(world, texts(2))
  const pop = client.popConsumer({ ...mail, tags: ['odd', 'even'] })
  const both = Promise.all([pop.receive({ max: 1 }), pop.receive({ max: 1 })])
  const [[first], [second]] = await until(both)
  assert.ok(first && second)
  await until(pop.ack([first, second]))
  assert.equal(cluster.count('group_open'), 1)
  assert.deepEqual(cluster.pops.opens[0]?.tags, ['even', 'odd'])
  assert.match(cluster.pops.pops[0]?.consumer ?? '', /^popmq-client-[0-9a-f]{8}$/)
})

void test('a message whose tag only has the hash of one that is wanted is done with unseen', async () => {
  const world = await popWorld()
  const { client, until, clock, group } = world
  await fill(world, texts(4))
  // This broker lets every tag through.
  const pop = client.popConsumer({ ...mail, tags: ['odd'] })
  assert.deepEqual(valuesOf(await until(pop.receive())), ['1', '3'])
  await clock.run(100)
  assert.equal(group.settled, 2)
})

void test('a group begins where it is told: an offset by partition, a time, behind the last', async () => {
  const world = await popWorld({ partitions: 2 })
  const { client, until, clock } = world
  for (const partition of [0, 1]) await fill(world, texts(3), partition)
  await clock.run(1_000)
  const time = new Date(clock.now())
  for (const partition of [0, 1]) await fill(world, texts(2, 3), partition)
  const valuesFrom = async (group: string, from: number | 'latest' | Date | object[]) => {
    const options = { group, topics: ['orders'], from: from as number }
    const pop = client.popConsumer(options)
    return valuesOf(await until(pop.receive({ waitMs: 0 })))
      .map(Number)
      .toSorted((a, b) => a - b)
      .map(String)
  }
  assert.deepEqual(await valuesFrom('a', 4), ['4', '4'])
  assert.deepEqual(await valuesFrom('b', 'latest'), [])
  assert.deepEqual(await valuesFrom('c', time), ['3', '3', '4', '4'])
  const list = [{ topic: 'orders', partition: 1, offset: 4 }]
  assert.deepEqual(await valuesFrom('d', list), ['0', '1', '2', '3', '4', '4'])
})

void test('a group that was deleted is opened again, once', async () => {
  const world = await popWorld()
  const { client, until, clock, cluster } = world
  await fill(world, ['0'])
  const pop = client.popConsumer(mail)
  const before = await popOne(world, pop)
  cluster.pops.delete('mail')
  const after = await popOne(world, pop)
  assert.equal(after.attempt, 1)
  assert.equal(cluster.count('group_open'), 2)
  assert.deepEqual(resultsOf(await until(pop.ack([before, after]))), ['foreign', 'acked'])
  const gone = new MqError('group_not_found', 'no such group')
  cluster.fault = ({ name }) => (name === 'pop' ? { kind: 'refuse', error: gone } : undefined)
  await clock.run(10)
  assert.equal(await until(refusal(pop.receive())), 'group_not_found')
  assert.equal(cluster.count('group_open'), 3)
})

void test('a waiting call goes on with the group that took the place of a deleted one', async () => {
  const world = await popWorld({ brokers: 2, partitions: 2 })
  const { client, until, clock, cluster } = world
  const pop = client.popConsumer(mail)
  const waiting = pop.receive({ waitMs: 60_000 })
  await clock.run(5_000)
  cluster.pops.delete('mail')
  await clock.run(5_000)
  await fill(world, ['1'], 1)
  assert.deepEqual(valuesOf(await until(waiting)), ['1'])
})

void test('hints that were left for a deleted group are left anew for the one that took its place', async () => {
  const world = await popWorld({ brokers: 2, partitions: 2 })
  const { client, until, clock, cluster } = world
  const pop = client.popConsumer(mail)
  const waiting = pop.receive({ waitMs: 60_000 })
  cluster.fault = ({ name, address }) =>
    name === 'pop_hint' && address === 'broker:2' ? { kind: 'swallow' } : undefined
  await clock.run(5_000)
  cluster.fault = () => undefined
  cluster.pops.delete('mail')
  await clock.run(5_000)
  await fill(world, ['1'], 1)
  await clock.run(1_000)
  const startedMs = clock.monotonic()
  assert.deepEqual(valuesOf(await until(waiting)), ['1'])
  assert.equal(clock.monotonic(), startedMs)
})

void test('a topic that is not there is told, and so is one that was deleted; made again it is popped', async () => {
  const world = await makeWorld({ refreshMs: 1_000 })
  const { client, until, clock, cluster } = world
  const pop = client.popConsumer(mail)
  assert.equal(await until(refusal(pop.receive())), 'topic_not_found')
  cluster.addTopic('orders')
  await fill(world, ['1'])
  assert.deepEqual(valuesOf(await until(pop.receive())), ['1'])
  cluster.topics.delete('orders')
  await clock.run(3_000)
  assert.equal(await until(refusal(pop.receive())), 'topic_not_found')
  cluster.addTopic('orders')
  await fill(world, ['2'])
  assert.deepEqual(valuesOf(await until(pop.receive())), ['2'])
})

void test('a conflict with how the group reads is told', async () => {
  const { client, until, cluster } = await popWorld()
  const conflict = new MqError('subscription_conflict', 'the group pulls orders')
  cluster.fault = ({ name }) =>
    name === 'group_open' ? { kind: 'refuse', error: conflict } : undefined
  assert.equal(await until(refusal(client.popConsumer(mail).receive())), 'subscription_conflict')
})

void test('an outage within the wait is waited for; one that outlasts it is told', async () => {
  const world = await popWorld()
  const { client, until, clock, cluster } = world
  const pop = client.popConsumer(mail)
  await until(pop.receive({ waitMs: 0 }))
  let isOut = true
  cluster.fault = ({ name }) => (isOut && name === 'pop' ? { kind: 'lose_request' } : undefined)
  const startedMs = clock.monotonic()
  assert.equal(await until(refusal(pop.receive({ waitMs: 3_000 }))), 'connection_lost')
  assert.ok(clock.monotonic() - startedMs < 4_500)
  const waiting = pop.receive({ waitMs: 30_000 })
  await clock.run(3_000)
  isOut = false
  await fill(world, ['0'])
  assert.deepEqual(valuesOf(await until(waiting)), ['0'])
})

void test('a partition that moves to another broker is popped there, while the wait goes on', async () => {
  const world = await popWorld({ brokers: 2, partitions: 2, refreshMs: 1_000 })
  const { client, until, clock, cluster } = world
  cluster.move(2, 1)
  const pop = client.popConsumer(mail)
  const waiting = pop.receive({ waitMs: 60_000 })
  await clock.run(5_000)
  assert.equal(cluster.count('pop'), 1)
  cluster.move(2, 2)
  await clock.run(3_000)
  await fill(world, ['9'], 1)
  assert.deepEqual(valuesOf(await until(waiting)), ['9'])
  await fill(world, ['8'], 0)
  await clock.run(1_000)
  assert.deepEqual(valuesOf(await until(pop.receive())), ['8'])
  assert.equal(cluster.pops.group('mail').leased, 2)
})

void test('a broker that does not answer keeps nobody from what another one has', async () => {
  const world = await popWorld({ brokers: 2, partitions: 2 })
  const { client, until, clock, cluster } = world
  await fill(world, ['1'], 1)
  cluster.fault = ({ name, address }) =>
    name === 'pop' && address === 'broker:1' ? { kind: 'swallow' } : undefined
  const pop = client.popConsumer(mail)
  const startedMs = clock.monotonic()
  assert.deepEqual(valuesOf(await until(pop.receive())), ['1'])
  assert.ok(clock.monotonic() - startedMs < 1_500)
})
