import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MqError } from '@popmq/protocol'
import { fill, texts } from './testing/orders.ts'
import { mail, popWorld, resultsOf } from './testing/pop-world.ts'

void test('acks of one turn share a request, and each call gets the results of its own', async () => {
  const world = await popWorld({ partitions: 2 })
  const { client, until, cluster } = world
  for (const partition of [0, 1]) await fill(world, texts(4), partition)
  const [first, second, stranger] = [
    client.popConsumer(mail),
    client.popConsumer(mail),
    client.popConsumer({ group: 'audit', topics: ['orders'] }),
  ]
  const messages = await until(first.receive())
  assert.equal(messages.length, 8)
  await until(stranger.receive({ waitMs: 0 }))
  await until(second.ack(messages[0] ?? []))
  const before = cluster.count('settle')
  const acks = [first.ack(messages.slice(0, 3)), second.ack(messages.slice(3)), first.ack('none')]
  const [a = [], b = [], none = []] = await until(Promise.all(acks))
  assert.deepEqual(resultsOf(a), ['already', 'acked', 'acked'])
  assert.deepEqual(resultsOf(b), ['acked', 'acked', 'acked', 'acked', 'acked'])
  assert.deepEqual(resultsOf(none), ['unknown'])
  assert.equal(cluster.count('settle'), before + 1)
  // Another group asks for itself.
  const others = [first.ack(messages.slice(0, 1)), stranger.ack(messages.slice(0, 1))]
  const [known = [], foreign = []] = await until(Promise.all(others))
  assert.deepEqual([...resultsOf(known), ...resultsOf(foreign)], ['already', 'foreign'])
  assert.equal(cluster.count('settle'), before + 3)
})

void test('a request that fails is tried again by each that shared it', async () => {
  const world = await popWorld()
  const { client, until, cluster } = world
  await fill(world, texts(4))
  const [first, second] = [client.popConsumer(mail), client.popConsumer(mail)]
  const messages = await until(first.receive())
  let isRefused = false
  cluster.fault = ({ name }) => {
    if (name !== 'settle' || isRefused) return undefined
    isRefused = true
    return { kind: 'refuse', error: new MqError('broker_busy', 'too much') }
  }
  const acks = [first.ack(messages.slice(0, 2)), second.ack(messages.slice(2))]
  const results = await until(Promise.all(acks))
  assert.deepEqual(results.map(resultsOf), [
    ['acked', 'acked'],
    ['acked', 'acked'],
  ])
  assert.ok(isRefused)
  assert.ok(cluster.count('settle') >= 2)
})

void test('nothing waits for a request that is under way, nor with a call that is almost over', async () => {
  const world = await popWorld()
  const { client, until, cluster, clock } = world
  await fill(world, texts(4))
  const pop = client.popConsumer(mail)
  const hasty = client.popConsumer({ ...mail, settleWithinMs: 500 })
  const [a, b, c, d] = await until(pop.receive())
  assert.ok(a && b && c && d)
  let swallowed = 0
  cluster.fault = ({ name }) => {
    if (name !== 'settle' || swallowed > 0) return undefined
    swallowed += 1
    return { kind: 'swallow' }
  }
  const stuck = pop.ack(a)
  await clock.run(10)
  assert.equal(swallowed, 1)
  assert.deepEqual(resultsOf(await until(pop.ack(b))), ['acked'])
  const before = cluster.count('settle')
  const both = await until(Promise.all([pop.ack(c), hasty.ack(d)]))
  assert.deepEqual(both.flatMap(resultsOf), ['acked', 'acked'])
  assert.equal(cluster.count('settle'), before + 2)
  assert.deepEqual(resultsOf(await until(stuck)), ['acked'])
})
