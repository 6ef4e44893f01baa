import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deferred } from '@popmq/kit'
import { limits, type MqError } from '@popmq/protocol'
import type { WorkContext } from './api/worker.ts'
import { fill, texts } from './testing/orders.ts'
import { mail, popWorld } from './testing/pop-world.ts'

void test('handlers run at once up to the concurrency, and what returns is acked in batches', async () => {
  const world = await popWorld()
  const { client, until, clock, cluster, group } = world
  await fill(world, texts(100))
  let running = 0
  let most = 0
  const handled: unknown[] = []
  const worker = client.worker({ ...mail, concurrency: 10 }, async ({ value }) => {
    running += 1
    most = Math.max(most, running)
    await new Promise<void>((resolve) => clock.after(100, resolve))
    handled.push(value)
    running -= 1
  })
  await clock.run(2_000)
  assert.equal(most, 10)
  assert.deepEqual(handled, texts(100))
  const { acked, begun, state, lost, unsettled } = worker.stats()
  assert.deepEqual([acked, begun, lost, unsettled, state], [100, 100, 0, 0, 'running'])
  assert.equal(group.settled, 100)
  assert.ok(cluster.count('settle') <= 25, `${cluster.count('settle')} requests`)
  await until(worker.close())
  assert.equal(worker.stats().state, 'closed')
})

void test('one ack request is under way to each broker; what is done meanwhile shares the next', async () => {
  const world = await popWorld()
  const { client, clock, cluster } = world
  await fill(world, texts(40))
  let underWay = 0
  let most = 0
  cluster.fault = ({ name }) => {
    if (name !== 'settle') return undefined
    underWay += 1
    most = Math.max(most, underWay)
    clock.after(500, () => (underWay -= 1))
    return { kind: 'delay', ms: 500 }
  }
  const worker = client.worker({ ...mail, concurrency: 40 }, async ({ value }) => {
    await new Promise<void>((resolve) => clock.after(10 * Number(value), resolve))
  })
  await clock.run(3_000)
  assert.equal(most, 1)
  assert.equal(worker.stats().acked, 40)
  assert.ok(cluster.count('settle') <= 3)
})

void test('what throws is given back with its error: errors, texts, nothing at all, wishes', async () => {
  const world = await popWorld()
  const { client, clock, group } = world
  group.maxAttempts = 2
  await fill(world, texts(6))
  const huge = new TypeError('m'.repeat(1_048_576), { cause: new Error('the disk is full') })
  const thrown: unknown[] = [
    ...[huge, 'a text', undefined, { code: 7 }],
    ...[Object.assign(new Error('no'), { retriable: false })],
    ...[Object.assign(new Error('later'), { delayMs: 50_000 })],
  ]
  const worker = client.worker(mail, ({ value }, { attempt }) => {
    if (attempt === 1) throw thrown[Number(value)]
  })
  await clock.run(500)
  const { retrying, dead, acked } = worker.stats()
  assert.deepEqual([retrying, dead, acked], [5, 1, 0])
  assert.deepEqual(group.dead, [4])
  const numberOf = ({ leases: [lease] }: (typeof group.nacks)[number]) => lease?.numbers[0] ?? 0
  const nacks = group.nacks.toSorted((a, b) => numberOf(a) - numberOf(b))
  const told = nacks.map(({ error }) => error)
  assert.equal(told[0]?.type, 'TypeError')
  assert.match(told[0]?.message ?? '', /… \(cause: the disk is full\)$/)
  assert.equal(new TextEncoder().encode(told[0]?.message).length, limits.errorBytes)
  assert.ok(told[0]?.stack)
  assert.deepEqual(told[1], { message: 'a text' })
  assert.deepEqual(told[2], { message: 'undefined was thrown' })
  assert.deepEqual(told[3], { message: '{"code":7}' })
  assert.deepEqual([nacks[4]?.retriable, nacks[5]?.delayMs], [false, 50_000])
  await clock.run(5_000)
  assert.equal(worker.stats().acked, 4)
  await clock.run(50_000)
  assert.equal(worker.stats().acked, 5)
})

void test('while a handler runs its lease is extended in time, many in one request', async () => {
  const world = await popWorld()
  const { client, clock, cluster, group } = world
  await fill(world, texts(8))
  const attempts: number[] = []
  const worker = client.worker({ ...mail, invisibleMs: 10_000 }, async (_, { attempt, signal }) => {
    attempts.push(attempt)
    await new Promise<void>((resolve) => clock.after(60_000, resolve))
    assert.equal(signal.aborted, false)
  })
  await clock.run(59_000)
  assert.equal(group.leased, 8)
  const extensions = cluster.pops.settles.filter(({ verb }) => verb === 'extend')
  assert.ok(extensions.length >= 11 && extensions.length <= 13, `${extensions.length} extensions`)
  assert.ok(extensions.every(({ leases }) => leases.length === 8))
  await clock.run(5_000)
  assert.deepEqual(
    attempts,
    Array.from({ length: 8 }, () => 1),
  )
  assert.equal(worker.stats().acked, 8)
})

void test('a lease that was lost aborts the signal, is told once, and is not acked', async () => {
  const world = await popWorld()
  const { client, clock, cluster } = world
  await fill(world, ['0'])
  const errors: [string, unknown][] = []
  let seen: WorkContext | undefined
  const onError = (error: MqError, message?: { readonly value: unknown }): void => {
    errors.push([error.name, message?.value])
  }
  const options = { ...mail, invisibleMs: 4_000, onError, settleWithinMs: 1_000 }
  const worker = client.worker({ ...options, prefetch: 0, concurrency: 1 }, async (_, context) => {
    if (seen !== undefined) return
    seen = context
    await new Promise<void>((resolve) => clock.after(20_000, resolve))
  })
  await clock.run(1_000)
  // Nobody reaches the broker for a while, and another one gets the message.
  cluster.fault = ({ name }) => (name === 'settle' ? { kind: 'lose_request' } : undefined)
  await clock.run(3_500)
  assert.equal(seen?.signal.aborted, true)
  cluster.fault = () => undefined
  const [message] = await world.until(client.popConsumer(mail).receive())
  assert.equal(message?.attempt, 2)
  await clock.run(20_000)
  assert.equal(worker.stats().acked, 0)
  assert.equal(worker.stats().lost, 1)
  assert.deepEqual(errors, [['lease_lost', '0']])
})

void test('an ack that comes too late is told as lost, never as acked', async () => {
  const world = await popWorld()
  const { client, until, clock, cluster } = world
  await fill(world, ['0'])
  const errors: string[] = []
  const onError = ({ name }: MqError): void => void errors.push(name)
  let isCut = false
  cluster.fault = ({ name }) => (isCut && name === 'settle' ? { kind: 'lose_request' } : undefined)
  const options = { ...mail, invisibleMs: 4_000, onError, settleWithinMs: 60_000 }
  const worker = client.worker({ ...options, concurrency: 1, prefetch: 0 }, () => {
    isCut = true
  })
  await clock.run(5_000)
  const [message] = await until(client.popConsumer(mail).receive())
  assert.equal(message?.attempt, 2)
  isCut = false
  await clock.run(5_000)
  const { acked, lost } = worker.stats()
  assert.deepEqual([acked, lost, errors], [0, 1, ['lease_lost']])
})

void test('a worker goes on for ever: through brokers and coordinators that come back', async () => {
  const world = await popWorld()
  const { client, clock, cluster } = world
  const errors: string[] = []
  const onError = ({ name }: MqError): void => void errors.push(name)
  const worker = client.worker({ ...mail, onError }, () => undefined)
  await fill(world, texts(5))
  await clock.run(1_000)
  cluster.fault = () => ({ kind: 'lose_request' })
  cluster.disconnect(1)
  await clock.run(300_000)
  assert.ok(errors.length > 0 && errors.length < 60, `${errors.length} errors`)
  cluster.fault = () => undefined
  cluster.pops.delete('mail')
  await clock.run(30_000)
  await fill(world, texts(5, 5))
  await clock.run(5_000)
  // The group was made again, and begins anew.
  assert.equal(worker.stats().acked, 15)
})

void test('values that wait are bounded in bytes as well as in count', async () => {
  const world = await popWorld()
  const { client, clock, group } = world
  const value = 'x'.repeat(10_000)
  const messages = Array.from({ length: 50 }, () => ({ topic: 'orders', value }))
  await world.until(client.producer().sendBatch(messages))
  const gate = deferred()
  const bounds = { concurrency: 4, prefetch: 100, prefetchBytes: 100_000 }
  const worker = client.worker({ ...mail, ...bounds }, () => gate.promise)
  await clock.run(1_000)
  assert.ok(group.leased <= 11, `${group.leased} leased`)
  const { running, waiting } = worker.stats()
  assert.equal(running, 4)
  assert.ok(waiting >= 4 && waiting <= 7)
  gate.resolve()
  await clock.run(5_000)
  assert.equal(worker.stats().acked, 50)
})
