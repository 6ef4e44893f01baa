import assert from 'node:assert/strict'
import { test } from 'node:test'
import { groupId, offset, partitionNumber, popHint, topicId } from '@popmq/protocol'
import { sampleTopic } from './core/testing/sample-set.ts'
import {
  DeliveryWorld,
  type Held,
  policy,
  popGroup,
  servedGroup,
} from './testing/delivery-world.ts'

/**
 * What went wrong in the pop consumption of RocketMQ, by the numbers of its issues: each row that can exist here is a
 * test. Those that cannot:
 *
 *   #3443, #3444, #5408, #7412, #10667   there is no revive topic whose own progress could run ahead, get stuck on
 *                                        orphans, or lose a record between two logs: leases and acks are in the log
 *   #6681 (delay levels)                 back-off is a time, not one of 18 levels
 *   #7117                                a group's start is an offset per partition, resolved once by the coordinator
 *   #5813, #8601, #8704                  no lock is taken for a queue: a pop is one turn of the event loop
 *   #10827, #8592, #9695, #8133          order by key is not there yet
 *   clients #804, #816, #1102, #1198     are about clients
 */
const none = { ready: 0, leased: 0, retrying: 0, parked: 0, dead: 0, acked: 0, skipped: 0 }
const values = (held: readonly Held[]): string[] => held.map(({ value }) => value)
const numbered = (count: number): string[] => Array.from({ length: count }, (_, at) => `m${at}`)

void test('#3787, #4153: an ack that comes late, after its lease ended, still counts', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(numbered(3))
  const held = await world.pop({ invisibleMs: 1_000 })
  await world.clock.run(1_500)
  assert.deepEqual(await world.ack(held), ['acked', 'acked', 'acked'])
  await world.clock.run(60_000)
  assert.deepEqual(await world.pop(), [])
  assert.deepEqual(await world.states(), { ...none, acked: 3 })
})

void test('#8900: what is consumed is not delivered again, nor does it become a dead letter', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(numbered(20))
  for (let round = 0; round < 20; round += 1) {
    const held = await world.pop({ max: 1, invisibleMs: 100 })
    await world.ack(held)
    await world.clock.run(200)
  }
  await world.clock.run(600_000)
  assert.deepEqual(await world.pop(), [])
  assert.deepEqual(await world.states(), { ...none, acked: 20 })
})

void test('clients #808: who renews in time is the only one to have the message', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(['long'])
  const held = await world.pop({ invisibleMs: 1_000 })
  for (let second = 0; second < 60; second += 1) {
    await world.clock.run(900)
    const extended = await world.settle(held, { verb: 'extend', invisibleMs: 1_000 })
    assert.deepEqual(extended, ['extended'])
    assert.deepEqual(await world.pop({ consumer: 'b' }), [])
  }
  assert.deepEqual(await world.ack(held), ['acked'])
})

void test('#7724: what comes again is the very message, not its neighbour', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(numbered(10))
  const held = await world.pop({ invisibleMs: 1_000 })
  await world.ack(held.filter((_, at) => at % 3 !== 1))
  await world.clock.run(1_000)
  const again = await world.pop()
  assert.deepEqual(values(again), ['m1', 'm4', 'm7'])
  await world.nack(again, { delayMs: 10 })
  await world.clock.run(10)
  assert.deepEqual(values(await world.pop()).toSorted(), ['m1', 'm4', 'm7'])
})

void test('#7914: a message that nobody acknowledged is never lost, not over ten restarts either', async () => {
  const world = await new DeliveryWorld().start([
    servedGroup({ policy: { ...policy, maxAttempts: 100, backoff: '1s' } }),
  ])
  await world.send(['m'])
  for (let round = 0; round < 10; round += 1) {
    assert.deepEqual(values(await world.pop({ waitMs: 10_000, invisibleMs: 1_000 })), ['m'])
    await world.world.restart((['lose', 'keep', 'random', 'torn'] as const)[round % 4])
    await world.clock.run(1_000)
  }
  const held = await world.pop({ waitMs: 10_000 })
  assert.deepEqual(await world.ack(held), ['acked'])
  assert.deepEqual(await world.states(), { ...none, acked: 1 })
})

void test('#8479: a topic that is deleted and made again gets nothing of its namesake', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(numbered(5))
  await world.nack(await world.pop(), { delayMs: 1_000 })
  const again = { ...sampleTopic, id: topicId(2) }
  const topic = { topicId: again.id }
  await world.world.push({ topics: [again], groups: [servedGroup({ topic })] })
  await world.send(['new'], { topic: again.id })
  await world.clock.run(10_000)
  assert.deepEqual(values(await world.pop({ topics: [again.id] })), ['new'])
  await world.world.restart('lose')
  await world.clock.run(60_000)
  assert.deepEqual(values(await world.pop({ topics: [again.id] })), ['new'])
  assert.equal(world.set.viewSet.delivery.retries.size, 0)
})

void test('#9956: a thousand extensions at once are one record for each lease, and none is late', async () => {
  const world = await new DeliveryWorld().start()
  for (const part of [0, 1]) await world.send(numbered(500), { partition: part })
  const held = await world.pop({ max: 1_000, invisibleMs: 1_000 })
  const appended: string[] = []
  const { log } = world.set.delivering
  const append = log.appendControl.bind(log)
  log.appendControl = (control, options) => {
    appended.push(control.kind)
    return append(control, options)
  }
  const results = await world.settle(held, { verb: 'extend', invisibleMs: 60_000 })
  assert.ok(results.every((result) => result === 'extended'))
  assert.deepEqual(appended, ['leased', 'leased'])
  await world.clock.run(30_000)
  assert.deepEqual(await world.pop({ consumer: 'b' }), [])
})

void test('#6652, #8651, #7562, #6600: what is ready, in hand, failed and done adds up at every step', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(numbered(10))
  assert.deepEqual(await world.states(), { ...none, ready: 10 })
  const held = await world.pop({ max: 6, invisibleMs: 5_000 })
  assert.deepEqual(await world.states(), { ...none, ready: 4, leased: 6 })
  await world.ack(held.slice(0, 2))
  assert.deepEqual(await world.states(), { ...none, ready: 4, leased: 4, acked: 2 })
  await world.nack(held.slice(2, 3), { delayMs: 10_000 })
  await world.nack(held.slice(3, 4), { retriable: false })
  const failed = { retrying: 1, dead: 1, acked: 2 }
  assert.deepEqual(await world.states(), { ...none, ready: 4, leased: 2, ...failed })
  await world.clock.run(5_000)
  assert.deepEqual(await world.states(), { ...none, ready: 6, ...failed })
  await world.world.restart('lose')
  await world.clock.run(5_000)
  assert.deepEqual(await world.states(), { ...none, ready: 6, ...failed })
})

void test('#3503: after a restart a group goes on where it was', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(numbered(50))
  await world.ack(await world.pop({ max: 49 }))
  await world.world.restart('lose')
  assert.deepEqual(values(await world.pop()), ['m49'])
})

void test('#9318: a group that was away for a year goes on where it was', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(numbered(5))
  await world.ack(await world.pop({ max: 3 }))
  world.clock.setWall(world.clock.now() + 366 * 86_400_000)
  await world.world.restart()
  await world.world.restart()
  assert.deepEqual(values(await world.pop()), ['m3', 'm4'])
})

void test('#6797: a batch of acks over partitions, retries and gaps settles what it names and nothing else', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(numbered(8))
  await world.send(['p0', 'p1', 'p2', 'p3'], { partition: 1 })
  const held = await world.pop()
  await world.nack(held.slice(0, 2), { delayMs: 0 })
  const retried = await world.pop()
  assert.equal(retried.length, 2)
  const named = [...retried.slice(1), ...held.filter((_, at) => at >= 2 && at % 2 === 0)]
  assert.deepEqual(new Set(await world.ack(named)), new Set(['acked']))
  assert.equal((await world.states()).acked, named.length)
  await world.clock.run(policy.invisibleMs)
  const rest = await world.pop()
  const left = [...retried.slice(0, 1), ...held.filter((_, at) => at >= 2 && at % 2 === 1)]
  assert.deepEqual(values(rest).toSorted(), values(left).toSorted())
})

void test('#6681, #4815: a retry that is due wakes who waits, by pop, by a pop of retries alone and by hint', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(['m'])
  await world.nack(await world.pop(), { delayMs: 1_500 })
  const request = { groupId: popGroup, topics: [topicId(1)], waitMs: 30_000, retriesOnly: true }
  const hint = world.caller.call(popHint, request, { timeoutMs: 60_000 })
  const from = world.clock.monotonic()
  assert.equal((await world.world.during(hint)).reply.isReady, true)
  assert.equal(world.clock.monotonic() - from, 1_500)
  const held = await world.pop({ retriesOnly: true })
  await world.nack(held, { delayMs: 2_500 })
  const popping = world.popping({ waitMs: 30_000, retriesOnly: true })
  assert.deepEqual(values(await world.world.during(popping)), ['m'])
  assert.equal(world.clock.monotonic() - from, 4_000)
})

void test('#8332: a message is delivered as often as the policy allows, and no more', async () => {
  for (const maxAttempts of [1, 2, 5]) {
    const world = await new DeliveryWorld().start([
      servedGroup({ policy: { ...policy, maxAttempts, backoff: '10ms' } }),
    ])
    await world.send(['nacked', 'expired'])
    const deliveries = new Map<string, number>()
    for (let round = 0; round < 40; round += 1) {
      for (const held of await world.pop({ invisibleMs: 50 })) {
        deliveries.set(held.value, held.attempt)
        if (held.value === 'nacked') await world.nack([held])
      }
      await world.clock.run(60)
    }
    assert.deepEqual([...deliveries.values()], [maxAttempts, maxAttempts])
    assert.deepEqual(await world.states(), { ...none, dead: 2 })
  }
})

void test('#9583, #10259, #10586: a handle stays good when its lease was extended', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(numbered(3))
  const held = await world.pop()
  await world.settle(held, { verb: 'extend', invisibleMs: 60_000 })
  await world.settle(held, { verb: 'extend', invisibleMs: 90_000 })
  assert.deepEqual(await world.ack(held.slice(0, 1)), ['acked'])
  assert.deepEqual(await world.nack(held.slice(1, 2)), ['retrying'])
  await world.world.restart('lose')
  assert.deepEqual(await world.ack(held.slice(2)), ['acked'])
})

void test('#10278: handles outlive the broker process, and the key that they were made with while it is told', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(numbered(2))
  const held = await world.pop()
  const [old] = world.world.handleKeys
  assert.ok(old !== undefined)
  world.world.handleKeys = [{ id: 2, key: new Uint8Array(32).fill(9) }, old]
  await world.world.restart()
  assert.deepEqual(await world.ack(held.slice(0, 1)), ['acked'])
  world.world.handleKeys = world.world.handleKeys.slice(0, 1)
  await world.world.restart()
  assert.deepEqual(await world.ack(held.slice(1)), ['unknown'])
  assert.deepEqual(await world.states(), { ...none, acked: 1, leased: 1 })
})

void test('clients #1344: what nobody answers comes again by itself, for every group on its own', async () => {
  const other = servedGroup({ groupId: groupId(8), name: 'audit', deadTopicId: topicId(1_001) })
  const world = await new DeliveryWorld().start([servedGroup(), other])
  await world.send(['m'])
  await world.pop({ invisibleMs: 1_000 })
  await world.pop({ invisibleMs: 3_000, groupId: other.groupId })
  await world.clock.run(1_000)
  assert.deepEqual(values(await world.pop()), ['m'])
  assert.deepEqual(await world.pop({ groupId: other.groupId }), [])
  await world.clock.run(2_000)
  assert.deepEqual(values(await world.pop({ groupId: other.groupId })), ['m'])
})

void test('a group that starts at an offset never gets what lies before it, and counts it as passed by', async () => {
  const starts = [offset(3), offset(0), offset(0)]
  const world = await new DeliveryWorld().start([servedGroup({ topic: { starts } })])
  await world.send(numbered(5), { partition: partitionNumber(0) })
  assert.deepEqual(await world.states(), { ...none, ready: 2, skipped: 3 })
  assert.deepEqual(values(await world.pop()), ['m3', 'm4'])
  await world.world.restart('lose')
  assert.deepEqual(values(await world.pop()), ['m3', 'm4'])
  assert.deepEqual(await world.states(), { ...none, leased: 2, skipped: 3 })
})
