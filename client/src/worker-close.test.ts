import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deferred } from '@popmq/kit'
import { fill, texts, valuesOf } from './testing/orders.ts'
import { mail, popWorld } from './testing/pop-world.ts'

void test('closing lets handlers finish and acks them, and gives back what none had begun', async () => {
  const world = await popWorld()
  const { client, until, clock, group } = world
  await fill(world, texts(20))
  const gate = deferred()
  const worker = client.worker({ ...mail, concurrency: 4, prefetch: 8 }, () => gate.promise)
  await clock.run(1_000)
  assert.deepEqual([worker.stats().running, worker.stats().waiting], [4, 8])
  const closing = worker.close()
  assert.equal(worker.stats().state, 'draining')
  await clock.run(5_000)
  assert.equal(group.leased, 4)
  gate.resolve()
  await until(closing)
  const { acked, released, state, running, waiting } = worker.stats()
  assert.deepEqual([acked, released, state, running, waiting], [4, 8, 'closed', 0, 0])
  const rest = await until(client.popConsumer(mail).receive())
  assert.deepEqual(
    rest.map(({ attempt }) => attempt),
    Array.from({ length: 16 }, () => 1),
  )
})

void test('after its time closing waits no longer: signals are aborted, and messages released', async () => {
  const world = await popWorld()
  const { client, until, clock, group } = world
  await fill(world, texts(3))
  const gate = deferred()
  const aborted: unknown[] = []
  const worker = client.worker({ ...mail, invisibleMs: 10_000 }, async ({ value }, { signal }) => {
    signal.addEventListener('abort', () => aborted.push(value))
    await gate.promise
  })
  await clock.run(1_000)
  const startedMs = clock.monotonic()
  await until(worker.close({ withinMs: 25_000 }))
  const tookMs = clock.monotonic() - startedMs
  assert.ok(tookMs >= 25_000 && tookMs < 26_500, `took ${tookMs} ms`)
  assert.deepEqual(aborted, texts(3))
  assert.equal(group.leased, 0)
  assert.equal(worker.stats().released, 3)
  gate.resolve()
  await clock.run(1_000)
  assert.equal(worker.stats().acked, 0)
  const again = await until(client.popConsumer(mail).receive())
  assert.deepEqual([valuesOf(again), again[0]?.attempt], [texts(3), 1])
})

void test('closing twice takes the shorter time, and a worker is disposed of as it is closed', async () => {
  const world = await popWorld()
  const { client, until, clock } = world
  await fill(world, ['0'])
  const worker = client.worker(mail, () => deferred().promise)
  await clock.run(1_000)
  const startedMs = clock.monotonic()
  const first = worker.close({ withinMs: 60_000 })
  const second = worker.close({ withinMs: 2_000 })
  await until(Promise.all([first, second]))
  assert.ok(clock.monotonic() - startedMs < 4_000)
  await until(Promise.resolve(worker[Symbol.asyncDispose]()))
})

void test('a client that is closed closes its workers first: what they finish is acked', async () => {
  const world = await popWorld()
  const { client, until, clock, group } = world
  await fill(world, texts(3))
  client.worker(mail, async () => {
    await new Promise<void>((resolve) => clock.after(5_000, resolve))
  })
  client.popConsumer(mail)
  await clock.run(1_000)
  await until(client.close())
  assert.equal(group.settled, 3)
  assert.throws(() => client.worker(mail, () => undefined), { name: 'closed' })
  assert.throws(() => client.popConsumer(mail), { name: 'closed' })
})

void test('what has waited for half of its lease is given back, and nothing waits again while handlers are slow', async () => {
  const world = await popWorld()
  const { client, until, clock, cluster, group } = world
  await fill(world, texts(12))
  let pauseMs = 60_000
  const options = { ...mail, invisibleMs: 10_000, concurrency: 2, prefetch: 6 }
  const worker = client.worker(options, async () => {
    await new Promise<void>((resolve) => clock.after(pauseMs, resolve))
  })
  await clock.run(1_000)
  assert.equal(group.leased, 8)
  await clock.run(10_000)
  assert.equal(group.leased, 2)
  assert.deepEqual([worker.stats().waiting, worker.stats().released], [0, 6])
  const others = await until(client.popConsumer(mail).receive())
  assert.deepEqual(new Set(others.map(({ attempt }) => attempt)), new Set([1]))
  await until(client.popConsumer(mail).release(others))
  const pops = cluster.count('pop')
  await clock.run(40_000)
  assert.equal(cluster.count('pop'), pops)
  pauseMs = 10
  await clock.run(60_000)
  assert.equal(worker.stats().acked, 12)
  assert.equal(worker.stats().lost, 0)
})
