import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits, MqError } from '@popmq/protocol'
import type { Asked, Fault } from './testing/faults.ts'
import { fill, texts, valuesOf } from './testing/orders.ts'
import { mail, popOne, popWorld, refusal, resultsOf } from './testing/pop-world.ts'

/** Faults of the next settle requests, in order. */
function settleFaults(...faults: (Fault | undefined)[]): (asked: Asked) => Fault | undefined {
  return ({ name }) => (name === 'settle' ? faults.shift() : undefined)
}

void test('any process settles by the text of the handle, and each gets a result, in the order given', async () => {
  const world = await popWorld({ partitions: 2 })
  const { client, until, clock } = world
  for (const partition of [0, 1]) await fill(world, texts(3), partition)
  const messages = await until(client.popConsumer(mail).receive())
  const handles = messages.map(({ handle }) => handle)
  assert.equal(handles.length, 6)
  const other = client.popConsumer(mail)
  const stranger = client.popConsumer({ group: 'audit', topics: ['orders'] })
  const [a = '', b = '', c = '', d = '', e = '', f = ''] = handles
  assert.deepEqual(resultsOf(await until(stranger.ack(a))), ['foreign'])
  assert.deepEqual(resultsOf(await until(other.ack(a))), ['acked'])
  const damaged = `${b.slice(0, -3)}`
  const mixed = await until(other.ack([f, 'nonsense', a, b, damaged, '9.9.9.AAAA', f]))
  assert.deepEqual(resultsOf(mixed), [
    ...(['acked', 'unknown', 'already', 'acked', 'unknown', 'unknown', 'acked'] as const),
  ])
  assert.deepEqual(
    mixed.map(({ handle }) => handle),
    [f, 'nonsense', a, b, damaged, '9.9.9.AAAA', f],
  )
  assert.deepEqual(resultsOf(await until(other.release(c))), ['released'])
  const [extended] = await until(other.extend([d], { invisibleMs: 90_000 }))
  assert.equal(extended?.result, 'extended')
  assert.ok(Math.abs((extended?.leasedUntil ?? 0) - clock.now() - 90_000) < 50)
  await clock.run(60_000)
  assert.deepEqual((await until(other.receive())).length, 2)
  assert.deepEqual(resultsOf(await until(other.ack([c, d, e]))), ['expired', 'acked', 'expired'])
  assert.deepEqual(await until(other.ack([])), [])
})

void test('handles of many partitions go to each leader in one request', async () => {
  const world = await popWorld({ brokers: 2, partitions: 8 })
  const { client, until, cluster } = world
  for (let partition = 0; partition < 8; partition += 1) await fill(world, texts(5), partition)
  const pop = client.popConsumer(mail)
  const messages = [...(await until(pop.receive())), ...(await until(pop.receive()))]
  assert.equal(messages.length, 40)
  const results = resultsOf(await until(pop.ack(messages)))
  assert.deepEqual(new Set(results), new Set(['acked']))
  assert.equal(cluster.count('settle'), 2)
})

void test('an ack whose answer was lost is told as acked, though the second try says already', async () => {
  const world = await popWorld()
  const { client, until, cluster, group } = world
  await fill(world, texts(2))
  const pop = client.popConsumer(mail)
  const [first, second] = await until(pop.receive())
  assert.ok(first && second)
  cluster.fault = settleFaults({ kind: 'lose_reply' }, { kind: 'swallow' })
  assert.deepEqual(resultsOf(await until(pop.ack(first))), ['acked'])
  assert.equal(group.settled, 1)
  assert.ok(cluster.count('settle') >= 2)
  assert.deepEqual(resultsOf(await until(pop.ack(first))), ['already'])
  // A nack was done as well; whether it was this call's is not claimed.
  cluster.fault = settleFaults({ kind: 'lose_reply' })
  assert.deepEqual(resultsOf(await until(pop.nack(second))), ['already'])
})

void test('an ack whose request was lost, and whose lease ended before the next try, is told as expired', async () => {
  const world = await popWorld()
  const { client, until, clock, cluster } = world
  await fill(world, ['0'])
  const pop = client.popConsumer({ ...mail, invisibleMs: 5_000, settleWithinMs: 30_000 })
  const message = await popOne(world, pop)
  let isCut = true
  cluster.fault = ({ name }) => (isCut && name === 'settle' ? { kind: 'lose_request' } : undefined)
  const acking = pop.ack(message)
  await clock.run(6_000)
  const again = await popOne(world, client.popConsumer(mail))
  isCut = false
  assert.deepEqual(resultsOf(await until(acking)), ['expired'])
  assert.deepEqual(resultsOf(await until(pop.ack(again))), ['acked'])
})

void test('an ack that was lost is not told as acked when the broker has moved the message on meanwhile', async () => {
  const world = await popWorld()
  const { client, until, clock, cluster, group } = world
  group.movesExpired = true
  await fill(world, ['0'])
  const pop = client.popConsumer({ ...mail, invisibleMs: 5_000, settleWithinMs: 30_000 })
  const message = await popOne(world, pop)
  let isCut = true
  cluster.fault = ({ name }) => (isCut && name === 'settle' ? { kind: 'lose_request' } : undefined)
  const acking = pop.ack(message)
  await clock.run(6_000)
  isCut = false
  assert.deepEqual(resultsOf(await until(acking)), ['already'])
  assert.equal((await popOne(world, pop)).attempt, 2)
})

void test('what a refusing broker did not do is tried again, and a moved partition is followed', async () => {
  const world = await popWorld({ brokers: 2 })
  const { client, until, cluster } = world
  await fill(world, texts(3))
  const pop = client.popConsumer(mail)
  const messages = await until(pop.receive())
  const busy = new MqError('broker_busy', 'too much')
  cluster.fault = settleFaults({ kind: 'refuse', error: busy }, { kind: 'lose_request' })
  assert.deepEqual(resultsOf(await until(pop.ack(messages.slice(0, 1)))), ['acked'])
  cluster.move(1, 2)
  assert.deepEqual(resultsOf(await until(pop.ack(messages.slice(1, 2)))), ['acked'])
  cluster.move(1, 0)
  const [failed] = await until(pop.ack(messages.slice(2)))
  assert.equal(failed?.result, 'failed')
  assert.equal(failed?.error?.name, 'not_leader')
  cluster.move(1, 1)
  assert.deepEqual(resultsOf(await until(pop.ack(messages.slice(2)))), ['acked'])
})

void test('one broker that does not answer fails its own handles in time, and no others', async () => {
  const world = await popWorld({ brokers: 2, partitions: 2 })
  const { client, until, clock, cluster } = world
  for (const partition of [0, 1]) await fill(world, ['0'], partition)
  const pop = client.popConsumer({ ...mail, settleWithinMs: 3_000 })
  const messages = [...(await until(pop.receive())), ...(await until(pop.receive()))]
  cluster.fault = ({ name, address }) =>
    name === 'settle' && address === 'broker:2' ? { kind: 'swallow' } : undefined
  const startedMs = clock.monotonic()
  const settled = await until(pop.ack(messages))
  assert.ok(clock.monotonic() - startedMs <= 3_100)
  const byPartition = messages.map(({ partition }, index) => [partition, settled[index]?.result])
  assert.deepEqual(new Map(byPartition as [number, string][]).get(0), 'acked')
  assert.deepEqual(new Map(byPartition as [number, string][]).get(1), 'failed')
})

void test('a nack tells the error, shortened, and its wishes', async () => {
  const world = await popWorld()
  const { client, until, clock, group } = world
  await fill(world, texts(2))
  const pop = client.popConsumer(mail)
  const [first, second] = await until(pop.receive())
  assert.ok(first && second)
  const error = new RangeError('x'.repeat(1_048_576))
  const nacking = pop.nack(first, { error, delayMs: 60_000 })
  assert.deepEqual(resultsOf(await until(nacking)), ['retrying'])
  const [told] = group.nacks
  assert.equal(told?.error?.type, 'RangeError')
  assert.equal(new TextEncoder().encode(told?.error?.message).length, limits.errorBytes)
  assert.ok((told?.error?.stack ?? '').length > 0)
  assert.equal(told?.delayMs, 60_000)
  assert.deepEqual(resultsOf(await until(pop.nack(second, { retriable: false }))), ['dead'])
  assert.deepEqual(group.dead, [1])
  await clock.run(59_000)
  assert.deepEqual(await until(pop.receive({ waitMs: 0 })), [])
  await clock.run(2_000)
  assert.deepEqual(valuesOf(await until(pop.receive())), ['0'])
})

void test('options out of their range, and unknown ones, are refused by name', async () => {
  const { client, until } = await popWorld()
  const pop = client.popConsumer(mail)
  const refused = async (promise: Promise<unknown>): Promise<void> => {
    assert.equal(await until(refusal(promise)), 'invalid_request')
  }
  await refused(pop.nack('1.0.0.AAAA', { delayMs: -1 }))
  await refused(pop.extend('1.0.0.AAAA', { invisibleMs: 0 }))
  await refused(pop.receive({ max: 10_001 }))
  await refused(pop.receive({ waitMs: 1.5 }))
  await refused(pop.receive({ wait: 1 } as object))
  const wrong = (options: object, name = 'invalid_request'): void => {
    assert.throws(() => client.popConsumer({ ...mail, ...options }), { name })
    assert.throws(() => client.worker({ ...mail, ...options }, () => undefined), { name })
  }
  wrong({ group: 'no such name' }, 'invalid_name')
  wrong({ topics: [] })
  wrong({ topics: ['a', 'a'] })
  wrong({ tags: [] })
  wrong({ from: -1 })
  wrong({ invisibleMs: 43_200_001 })
  wrong({ consumer: 'x'.repeat(257) })
  assert.throws(() => client.worker({ ...mail, prefetch: -1 }, () => undefined), {
    name: 'invalid_request',
  })
  assert.throws(() => client.worker({ ...mail, concurency: 1 } as object as typeof mail, () => 1), {
    message: /did you mean concurrency/,
  })
})
