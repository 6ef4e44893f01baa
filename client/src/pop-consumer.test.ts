import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fill, texts, valuesOf } from './testing/orders.ts'
import { mail, popOne as one, popWorld, refusal } from './testing/pop-world.ts'

void test('messages come with a handle and a lease, and an acked one comes no more', async () => {
  const world = await popWorld()
  const { client, until, clock, group } = world
  await fill(world, texts(3))
  const pop = client.popConsumer(mail)
  const messages = await until(pop.receive({ max: 2 }))
  assert.deepEqual(valuesOf(messages), ['0', '1'])
  const [first] = messages
  assert.ok(first)
  const { topic, partition, offset, key, tag, attempt } = first
  assert.deepEqual([topic, partition, offset, key, tag, attempt], ['orders', 0, 0, 'k0', 'even', 1])
  assert.match(first.handle, /^1\.0\.0\.[\w-]{11}$/)
  assert.ok(Math.abs(first.leasedUntil - clock.now() - 30_000) < 50)
  assert.deepEqual(
    (await until(pop.ack(messages))).map(({ result }) => result),
    ['acked', 'acked'],
  )
  await clock.run(60_000)
  assert.deepEqual(valuesOf(await until(pop.receive())), ['2'])
  assert.equal(group.settled, 2)
})

void test('nothing within the wait is an empty list; with no wait each broker is asked once', async () => {
  const { client, until, clock, cluster } = await popWorld({ brokers: 3, partitions: 3 })
  const pop = client.popConsumer(mail)
  assert.deepEqual(await until(pop.receive({ waitMs: 0 })), [])
  assert.equal(cluster.count('pop'), 3)
  assert.equal(cluster.count('pop_hint'), 0)
  const startedMs = clock.monotonic()
  assert.deepEqual(await until(pop.receive({ waitMs: 700 })), [])
  assert.ok(Math.abs(clock.monotonic() - startedMs - 700) < 20)
})

void test('a broker that is alone holds the request until something comes', async () => {
  const world = await popWorld()
  const { client, until, clock, cluster } = world
  const pop = client.popConsumer(mail)
  const waiting = pop.receive({ waitMs: 60_000 })
  await clock.run(15_000)
  assert.equal(cluster.count('pop'), 1)
  await fill(world, ['7'])
  assert.deepEqual(valuesOf(await until(waiting)), ['7'])
  assert.equal(cluster.count('pop'), 1)
  assert.equal(cluster.count('pop_hint'), 0)
})

void test('several brokers are popped in turn, and hints tell which has something when none had', async () => {
  const world = await popWorld({ brokers: 2, partitions: 2 })
  const { client, until, clock, cluster } = world
  const pop = client.popConsumer(mail)
  const waiting = pop.receive({ waitMs: 30_000 })
  await clock.run(10_000)
  assert.deepEqual([cluster.count('pop'), cluster.count('pop_hint')], [2, 2])
  await fill(world, ['5'], 1)
  assert.deepEqual(valuesOf(await until(waiting)), ['5'])
  // The broker that had some is popped again; of the other one the hint stands.
  assert.deepEqual(await until(pop.receive({ waitMs: 5_000 })), [])
  await clock.run(20_000)
  assert.deepEqual(await until(pop.receive({ waitMs: 5_000 })), [])
  assert.deepEqual([cluster.count('pop'), cluster.count('pop_hint')], [4, 3])
})

void test('brokers that all have messages are served evenly', async () => {
  const world = await popWorld({ brokers: 3, partitions: 3 })
  const { client } = world
  for (const partition of [0, 1, 2]) await fill(world, texts(4), partition)
  const pop = client.popConsumer(mail)
  const partitions: number[] = []
  for (let times = 0; times < 6; times += 1) {
    partitions.push((await one(world, pop)).partition)
  }
  assert.deepEqual(partitions, [0, 1, 2, 0, 1, 2])
})

void test('a hint that is ready again and again with nothing to pop makes no storm', async () => {
  const world = await popWorld({ brokers: 2, partitions: 2 })
  const { client, until, cluster, group } = world
  await fill(world, ['1'], 0)
  group.refusing = 'paused'
  const pop = client.popConsumer(mail)
  assert.deepEqual(await until(pop.receive({ waitMs: 20_000 })), [])
  assert.equal(pop.lastReason, 'paused')
  assert.ok(cluster.count('pop') < 60, `${cluster.count('pop')} pops`)
  group.refusing = undefined
  assert.deepEqual(valuesOf(await until(pop.receive())), ['1'])
  assert.equal(pop.lastReason, undefined)
})

void test('a broker that is alone and answers at once with nothing is not asked without pause', async () => {
  const world = await popWorld()
  const { client, until, cluster, group } = world
  await fill(world, ['1'])
  group.refusing = 'in_flight_limit'
  const pop = client.popConsumer(mail)
  assert.deepEqual(await until(pop.receive({ waitMs: 20_000 })), [])
  assert.equal(pop.lastReason, 'in_flight_limit')
  assert.ok(cluster.count('pop') < 60, `${cluster.count('pop')} pops`)
})

void test('a retried message tells where it was first, and which delivery this is', async () => {
  const world = await popWorld()
  const { client, until, clock } = world
  await fill(world, ['0'])
  const pop = client.popConsumer(mail)
  const first = await one(world, pop)
  const [nacked] = await until(pop.nack(first, { error: new TypeError('no such user') }))
  assert.equal(nacked?.result, 'retrying')
  assert.deepEqual(await until(pop.receive({ waitMs: 0 })), [])
  await clock.run(1_000)
  const again = await one(world, pop)
  const { topic, partition, offset, appendedAt, id, key, value, attempt } = again
  assert.deepEqual([topic, partition, offset, value, attempt], ['orders', 0, 0, '0', 2])
  assert.deepEqual([appendedAt, id, key], [first.appendedAt, first.id, first.key])
  assert.notEqual(again.handle, first.handle)
  assert.equal((await until(pop.ack(again)))[0]?.result, 'acked')
})

void test('an abort stops the wait, and what the broker gives all the same is released', async () => {
  const world = await popWorld()
  const { client, until, clock, group } = world
  const pop = client.popConsumer(mail)
  const giveUp = new AbortController()
  const waiting = refusal(pop.receive({ waitMs: 30_000, signal: giveUp.signal }))
  await clock.run(1_000)
  giveUp.abort()
  assert.equal(await waiting, 'aborted')
  await fill(world, ['0'])
  await clock.run(500)
  assert.equal(group.leased, 0)
  assert.equal((await one(world, pop)).attempt, 1)
  await until(pop.close())
})

void test('closing ends waits and loops, and refuses what follows', async () => {
  const world = await popWorld()
  const { client, until, failure, clock } = world
  const pop = client.popConsumer(mail)
  const loop = (async () => {
    for await (const messages of pop) assert.fail(`nothing comes, got ${messages.length}`)
  })()
  const waiting = refusal(pop.receive())
  await clock.run(1_000)
  await until(pop.close())
  await until(loop)
  assert.equal(await waiting, 'closed')
  assert.equal((await failure(pop.receive())).name, 'closed')
  assert.equal((await failure(pop.ack('x'))).name, 'closed')
})

void test('what a broker gives to a consumer that is being closed is released', async () => {
  const world = await popWorld()
  const { client, until, clock, cluster, group } = world
  await fill(world, texts(3))
  cluster.fault = ({ name }) => (name === 'pop' ? { kind: 'delay', ms: 300 } : undefined)
  const pop = client.popConsumer(mail)
  const late = refusal(pop.receive({ waitMs: 0 }))
  await clock.runUntil(() => cluster.count('pop') === 1)
  await until(pop.close())
  assert.equal(await late, 'closed')
  assert.equal(cluster.count('settle'), 1)
  assert.equal(group.leased, 0)
})

void test('a loop gives what comes, through an outage', async () => {
  const world = await popWorld()
  const { client, until, clock, cluster } = world
  const pop = client.popConsumer(mail)
  const got: unknown[] = []
  const loop = (async () => {
    for await (const messages of pop) {
      got.push(...valuesOf(messages))
      await pop.ack(messages)
    }
  })()
  await fill(world, texts(40))
  await clock.run(1_000)
  cluster.fault = ({ name }) => (name === 'pop' ? { kind: 'lose_request' } : undefined)
  cluster.disconnect(1)
  await clock.run(120_000)
  cluster.fault = () => undefined
  await fill(world, texts(3, 40))
  await clock.run(10_000)
  await until(pop.close())
  await until(loop)
  assert.deepEqual(got, texts(43))
})
