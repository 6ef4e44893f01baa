import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type GroupPolicy,
  inflightRelease,
  offset,
  partitionNumber,
  popHint,
  topicId,
} from '@popmq/protocol'
import {
  DeliveryWorld,
  type Held,
  policy,
  popGroup,
  servedGroup,
} from './testing/delivery-world.ts'

const first = { topicId: topicId(1), partition: partitionNumber(0), offset: offset(0) }

async function started(limits: Partial<GroupPolicy> = {}): Promise<DeliveryWorld> {
  return new DeliveryWorld().start([servedGroup({ policy: { ...policy, ...limits } })])
}

/** What a waiting pop got, and after how many ms of virtual time from now. */
async function after(
  world: DeliveryWorld,
  popping: Promise<Held[]>,
): Promise<{ readonly values: string[]; readonly waitedMs: number }> {
  const from = world.clock.monotonic()
  const held = await world.world.during(popping)
  return { values: held.map(({ value }) => value), waitedMs: world.clock.monotonic() - from }
}

void test('a waiting pop is answered in the moment in which a message arrives', async () => {
  const world = await started()
  const popping = world.popping({ waitMs: 60_000 })
  await world.clock.run(1_234)
  await world.send(['m'])
  assert.deepEqual(await after(world, popping), { values: ['m'], waitedMs: 0 })
})

void test('a waiting pop is answered in the moment in which a retry is due', async () => {
  const world = await started()
  await world.send(['m'])
  await world.nack(await world.pop(), { delayMs: 4_321 })
  const popping = world.popping({ waitMs: 60_000 })
  assert.deepEqual(await after(world, popping), { values: ['m'], waitedMs: 4_321 })
})

void test('a waiting pop is answered in the moment in which a lease ends', async () => {
  const world = await started()
  await world.send(['m'])
  await world.pop({ invisibleMs: 7_777 })
  const popping = world.popping({ waitMs: 60_000, consumer: 'b' })
  assert.deepEqual(await after(world, popping), { values: ['m'], waitedMs: 7_777 })
})

void test('a waiting pop is answered in the moment in which the lease of another broker process ends', async () => {
  const world = await started()
  await world.send(['m'])
  await world.pop({ invisibleMs: 7_777 })
  await world.states()
  await world.clock.run(2_000)
  await world.world.restart('lose')
  const popping = world.popping({ waitMs: 60_000, consumer: 'b' })
  assert.deepEqual(await after(world, popping), { values: ['m'], waitedMs: 5_777 })
})

void test('a lease that ran out while there was no broker can still be answered for five seconds, or as long as it was', async () => {
  for (const [invisibleMs, graceMs] of [
    [7_777, 5_000],
    [1_000, 1_000],
  ] as const) {
    const world = await started()
    await world.send(['a', 'b'])
    const held = await world.pop({ invisibleMs })
    await world.states()
    await world.clock.run(60_000)
    await world.world.restart('lose')
    const popping = world.popping({ waitMs: 60_000, consumer: 'b' })
    assert.deepEqual(await world.ack(held.slice(0, 1)), ['acked'])
    assert.deepEqual(await after(world, popping), { values: ['b'], waitedMs: graceMs })
  }
})

void test('a waiting pop is answered in the moment in which a message is given back, or taken away', async () => {
  const world = await started()
  await world.send(['m'])
  const held = await world.pop()
  const second = world.popping({ waitMs: 60_000, consumer: 'b' })
  await world.clock.run(100)
  await world.settle(held, { verb: 'release' })
  assert.deepEqual(await after(world, second), { values: ['m'], waitedMs: 0 })
  const third = world.popping({ waitMs: 60_000, consumer: 'c' })
  await world.clock.run(100)
  await world.world.ask(inflightRelease, { groupId: popGroup, messages: [first] })
  assert.deepEqual(await after(world, third), { values: ['m'], waitedMs: 0 })
})

void test('a waiting pop is answered in the moment in which a limit leaves room', async () => {
  for (const [limit, reason] of [
    [{ maxInFlight: 1 }, 'in_flight_limit'],
    [{ maxInFlightPerConsumer: 1 }, 'consumer_in_flight_limit'],
  ] as const) {
    for (const verb of ['ack', 'nack'] as const) {
      const world = await started(limit)
      await world.send(['a', 'b'])
      const held = await world.pop()
      assert.equal(held.length, 1)
      assert.deepEqual(await world.world.during(world.popWithReason()), { held: [], reason })
      const popping = world.popping({ waitMs: 60_000 })
      await world.clock.run(100)
      await world.settle(held, { verb, ...(verb === 'nack' ? { delayMs: 60_000 } : {}) })
      assert.deepEqual(await after(world, popping), { values: ['b'], waitedMs: 0 })
    }
  }
})

void test('a lease that ends and leaves room lets the next in, also when its message waits for a retry', async () => {
  const world = await started({ maxInFlight: 1, backoff: '10m' })
  await world.send(['a', 'b'])
  for (let attempt = 1; attempt <= 2; attempt += 1) {
    await world.pop({ invisibleMs: 1_000 })
    await world.clock.run(1_000)
  }
  const [third] = await world.pop({ invisibleMs: 1_000 })
  assert.equal(third?.attempt, 3)
  const popping = world.popping({ waitMs: 60_000, consumer: 'b' })
  assert.deepEqual(await after(world, popping), { values: ['b'], waitedMs: 1_000 })
})

void test('who waits at his own limit does not keep others from what arrives', async () => {
  const world = await started({ maxInFlightPerConsumer: 1 })
  await world.send(['a'])
  const held = await world.pop({ consumer: 'busy' })
  const busy = world.popping({ waitMs: 60_000, consumer: 'busy' })
  await world.clock.run(10)
  const idle = world.popping({ waitMs: 60_000, consumer: 'idle' })
  await world.clock.run(10)
  await world.send(['b'])
  assert.deepEqual(await after(world, idle), { values: ['b'], waitedMs: 0 })
  await world.send(['c'])
  await world.ack(held)
  assert.deepEqual(await after(world, busy), { values: ['c'], waitedMs: 0 })
})

void test('a wider limit, and a topic that goes on, wake who waits', async () => {
  const world = await started({ maxInFlight: 1 })
  await world.send(['a', 'b'])
  await world.pop({ max: 1 })
  const limited = world.popping({ waitMs: 60_000 })
  await world.clock.run(10)
  await world.world.push({ groups: [servedGroup({ topic: { isPaused: true } })] })
  await world.clock.run(10)
  const paused = await world.world.during(world.popWithReason({ consumer: 'b' }))
  assert.deepEqual(paused, { held: [], reason: 'paused' })
  await world.world.push({ groups: [servedGroup()] })
  assert.deepEqual(await after(world, limited), { values: ['b'], waitedMs: 0 })
})

void test('one arrival of many messages wakes as many pops as can take of it', async () => {
  const world = await started()
  const popping = ['a', 'b', 'c'].map((consumer) => {
    return world.popping({ waitMs: 60_000, max: 2, consumer })
  })
  await world.clock.run(10)
  await world.send(['1', '2', '3', '4', '5'])
  const taken = await world.world.during(Promise.all(popping))
  assert.deepEqual(
    taken.map(({ length }) => length),
    [2, 2, 1],
  )
})

void test('a hint is answered in the moment in which there is something, and grants nothing', async () => {
  const world = await started()
  const request = { groupId: popGroup, topics: [topicId(1)], waitMs: 30_000 }
  const hint = world.caller.call(popHint, request, { timeoutMs: 60_000 })
  await world.clock.run(500)
  await world.send(['m'])
  const from = world.clock.monotonic()
  assert.equal((await world.world.during(hint)).reply.isReady, true)
  assert.equal(world.clock.monotonic(), from)
  assert.equal((await world.pop({ invisibleMs: 600_000 })).length, 1)
  const empty = world.caller.call(popHint, request, { timeoutMs: 60_000 })
  assert.equal((await world.world.during(empty)).reply.isReady, false)
  assert.equal(world.clock.monotonic(), from + 30_000)
})

void test('who waits for a group that is deleted is told at once', async () => {
  const world = await started()
  const popping = world.popping({ waitMs: 60_000 })
  const refused = assert.rejects(popping, { name: 'group_not_found' })
  await world.clock.run(10)
  const from = world.clock.monotonic()
  await world.world.push({ groups: [] })
  await world.world.during(refused)
  assert.equal(world.clock.monotonic(), from)
})

void test('nobody waits and nothing is due: no timer of deliveries beats', async () => {
  const world = await started()
  await world.send(['m'])
  await world.ack(await world.pop())
  await world.clock.run(60_000)
  const idle = world.clock.eventsRun
  await world.clock.run(60_000)
  const perMinute = world.clock.eventsRun - idle
  const popping = world.popping({ waitMs: 60_000 })
  const before = world.clock.eventsRun
  await world.clock.run(59_000)
  const waiting = world.clock.eventsRun - before
  assert.ok(waiting <= perMinute + 5, `${waiting} events while a pop waits, ${perMinute} without`)
  assert.deepEqual(await world.world.during(popping), [])
})
