import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  groupId,
  offset,
  partitionNumber,
  retryChange,
  type ServedGroup,
  topicId,
} from '@popmq/protocol'
import { DeliveryWorld, type Held, popGroup, servedGroup } from './testing/delivery-world.ts'
import { forget, gatedWorld } from './testing/gated-disk.ts'

const none = { ready: 0, leased: 0, retrying: 0, parked: 0, dead: 0, acked: 0, skipped: 0 }
const values = (held: readonly Held[]): string[] => held.map(({ value }) => value)

/** A group that is to go on at `to` of partition 0. */
function resetTo(to: number, generation: number): ServedGroup {
  const offsets = [{ partition: partitionNumber(0), offset: offset(to), generation }]
  return servedGroup({ topic: { reset: { generation, offsets } } })
}

void test('an ack that comes while the end of its lease is written down waits for that, and is told the truth', async () => {
  const { world, disk } = await gatedWorld()
  await world.send(['slow'])
  await forget(world)
  for (let attempt = 1; attempt < 3; attempt += 1) {
    await world.pop({ invisibleMs: 1_000 })
    await world.clock.run(1_000)
  }
  const held = await world.pop({ invisibleMs: 1_000 })
  disk.shut()
  await world.clock.run(1_000)
  const acked = world.settling(held, { verb: 'ack' })
  await world.clock.run(10)
  disk.open()
  assert.deepEqual(await world.world.during(acked), ['already'])
  assert.deepEqual(await world.states(), { ...none, retrying: 1 })
  const [again] = await world.pop({ waitMs: 60_000 })
  assert.deepEqual([again?.value, again?.attempt], ['slow', 4])
})

void test('an extension and the end of its lease at one moment: one of them wins, and the other is told', async () => {
  for (const isFirst of [true, false]) {
    const world = await new DeliveryWorld().start()
    await world.send(['m'])
    const held = await world.pop({ invisibleMs: 1_000 })
    await world.clock.run(isFirst ? 999.5 : 1_000)
    const results = world.settle(held, { verb: 'extend', invisibleMs: 5_000 })
    assert.deepEqual(await results, [isFirst ? 'extended' : 'expired'])
    await world.clock.run(1)
    const other = await world.pop({ consumer: 'b' })
    assert.equal(other.length, isFirst ? 0 : 1)
    assert.deepEqual(await world.ack(held), [isFirst ? 'acked' : 'expired'])
  }
})

void test('the record of a lease is lost with the broker: its handle is good until the message is handed out again', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(['a', 'b'])
  const lost = await world.pop()
  await world.world.restart('lose')
  assert.deepEqual(await world.states(), { ...none, ready: 2 })
  assert.deepEqual(await world.ack(lost.slice(0, 1)), ['acked'])
  const again = await world.pop({ consumer: 'b' })
  assert.deepEqual(
    again.map(({ value, attempt }) => [value, attempt]),
    [['b', 1]],
  )
  assert.deepEqual(await world.ack(lost), ['already', 'expired'])
  assert.deepEqual(await world.ack(again), ['acked'])
  assert.deepEqual(await world.states(), { ...none, acked: 2 })
})

void test('an ack is durable and its answer is lost with the broker: asked again it is told that it was done', async () => {
  const { world, disk } = await gatedWorld()
  await world.send(['m', 'n'])
  const held = await world.pop()
  await world.ack(held.slice(0, 1))
  disk.shut()
  // Nobody hears of this one: it was not synced.
  void Promise.allSettled([world.settling(held.slice(1), { verb: 'ack' })])
  await world.clock.run(10)
  disk.open()
  await world.world.restart('lose')
  const [first, second] = await world.ack(held)
  assert.equal(first, 'already')
  assert.ok(second === 'acked' || second === 'already')
  assert.deepEqual(await world.states(), { ...none, acked: 2 })
})

void test('what is not on disk yet is not answered: an ack, a nack, a letter, a retry at once', async () => {
  const asks: ((world: DeliveryWorld, held: Held[]) => Promise<readonly string[]>)[] = [
    (world, held) => world.settling(held, { verb: 'ack' }),
    (world, held) => world.settling(held, { verb: 'nack' }),
    (world, held) => world.settling(held, { verb: 'nack', retriable: false }),
    async (world) => {
      const [retry] = world.set.viewSet.delivery.retries.all()
      const change = { groupId: popGroup, numbers: [retry?.number ?? 0], to: 'now' as const }
      return (await world.caller.call(retryChange, change, { timeoutMs: 60_000 })).reply.results
    },
  ]
  for (const ask of asks) {
    const { world, disk } = await gatedWorld()
    await world.send(['retried', 'm'])
    const [retried, ...held] = await world.pop()
    assert.ok(retried !== undefined)
    await world.nack([retried], { delayMs: 600_000 })
    assert.deepEqual(await world.states(), { ...none, leased: 1, retrying: 1 })
    disk.shut()
    let isAnswered = false
    const asking = ask(world, held).finally(() => (isAnswered = true))
    await world.clock.run(2_000)
    assert.equal(isAnswered, false)
    disk.open()
    const results = await world.world.during(asking)
    assert.match(String(results), /^(acked|retrying|dead|done)$/)
  }
})

void test('the broker stops between the copy of a dead letter and the end of its original: there is no between', async () => {
  for (const mode of ['lose', 'keep', 'random', 'torn'] as const) {
    const world = await new DeliveryWorld().start()
    await world.send(['poison'])
    const dying = world.nack(await world.pop(), { retriable: false })
    assert.deepEqual(await dying, ['dead'])
    await world.world.restart(mode)
    assert.deepEqual(await world.states(), { ...none, dead: 1 })
    assert.deepEqual(await world.pop(), [])
  }
})

void test('one stale handle in a batch has its own answer', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(['a', 'b', 'c'])
  const first = await world.pop({ max: 1, invisibleMs: 1_000 })
  const others = await world.pop()
  await world.clock.run(1_000)
  await world.pop({ max: 1, consumer: 'b' })
  assert.deepEqual(await world.ack([...others, ...first]), ['acked', 'acked', 'expired'])
  assert.deepEqual(await world.states(), { ...none, acked: 2, leased: 1 })
})

void test('a clock that is set forward ends no lease, and makes no retry due', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(['leased', 'retried'])
  const [leased, retried] = await world.pop({ invisibleMs: 5_000 })
  assert.ok(leased !== undefined && retried !== undefined)
  await world.nack([retried], { delayMs: 5_000 })
  world.clock.setWall(world.clock.now() + 3_600_000)
  await world.clock.run(2_000)
  assert.deepEqual(await world.pop(), [])
  assert.deepEqual(await world.states(), { ...none, leased: 1, retrying: 1 })
  assert.deepEqual(await world.ack([leased]), ['acked'])
})

void test('a stop in good order takes along what nobody waited for', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(['a', 'b'])
  const held = await world.pop()
  await world.settle(held.slice(1), { verb: 'release' })
  await world.world.restart()
  assert.deepEqual(await world.states(), { ...none, leased: 1, ready: 1 })
  const [again] = await world.pop({ consumer: 'b' })
  assert.deepEqual([again?.value, again?.attempt], ['b', 1])
  assert.deepEqual(await world.ack(held), ['acked', 'expired'])
})

void test('two groups have their own deliveries of one message', async () => {
  const other = servedGroup({ groupId: groupId(8), name: 'audit', deadTopicId: topicId(1_001) })
  const world = await new DeliveryWorld().start([servedGroup(), other])
  await world.send(['m'])
  const mine = await world.pop()
  const theirs = await world.pop({ groupId: other.groupId })
  assert.deepEqual([values(mine), values(theirs)], [['m'], ['m']])
  assert.deepEqual(await world.ack(mine, other.groupId), ['foreign'])
  assert.deepEqual(await world.ack(mine), ['acked'])
  assert.deepEqual(await world.nack(theirs, {}), ['foreign'])
  const nacked = world.settle(theirs, { groupId: other.groupId, verb: 'nack', delayMs: 0 })
  assert.deepEqual(await nacked, ['retrying'])
  assert.deepEqual(await world.states(), { ...none, acked: 1 })
  assert.deepEqual(await world.states(other.groupId), { ...none, retrying: 1 })
})

void test('handles of a group that is reset are over, also for what stays in hand', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(['a', 'b', 'c'])
  const held = await world.pop({ invisibleMs: 5_000 })
  await world.world.push({ groups: [resetTo(1, 1)] })
  assert.deepEqual(await world.ack(held), ['expired', 'expired', 'expired'])
  assert.deepEqual(await world.states(), { ...none, leased: 1, ready: 2 })
  assert.equal(world.set.delivering.dispatch.group(popGroup).inFlight.total, 1)
  assert.deepEqual(values(await world.pop({ consumer: 'b' })), ['b', 'c'])
  await world.clock.run(5_000)
  assert.deepEqual(values(await world.pop({ consumer: 'b' })), ['a'])
})

void test('an ack during a reset is told that its message is handed out again, not that it is done', async () => {
  const { world, disk } = await gatedWorld()
  await world.send(['a', 'b'])
  const held = await world.pop()
  await world.states()
  disk.shut()
  const pushed = world.world.push({ groups: [resetTo(1, 1)] })
  await world.clock.run(10)
  const acked = world.settling(held, { verb: 'ack' })
  await world.clock.run(10)
  disk.open()
  assert.deepEqual(await world.world.during(acked), ['expired', 'expired'])
  await pushed
  assert.deepEqual(await world.states(), { ...none, leased: 1, ready: 1 })
})

void test('a nack that is carried out while the group is reset makes no second message of one', async () => {
  const { world, disk } = await gatedWorld()
  await world.send(['a'])
  const held = await world.pop()
  await forget(world)
  disk.shut()
  const nacked = world.settling(held, { verb: 'nack', delayMs: 0 })
  await world.clock.run(5)
  const pushed = world.world.push({ groups: [resetTo(0, 1)] })
  await world.clock.run(5)
  disk.open()
  // Refused or carried out first: either way the reset comes after it.
  const outcome = await world.world.during(nacked.catch((error: unknown) => [String(error)]))
  assert.match(String(outcome[0]), /retrying|broker_busy/)
  await pushed
  assert.deepEqual(await world.states(), { ...none, ready: 1 })
  const again = await world.pop()
  assert.deepEqual(
    again.map(({ value, attempt, isRetry }) => [value, attempt, isRetry]),
    [['a', 1, false]],
  )
})

void test('a reset that is told twice at once is carried out once, and nobody gets a message that another has', async () => {
  const { world, disk } = await gatedWorld()
  await world.send(['a', 'b'])
  await world.ack(await world.pop())
  const { dispatch } = world.set.delivering
  disk.shut()
  const both = [dispatch.update([resetTo(0, 1)]), dispatch.update([resetTo(0, 1)])]
  await world.clock.run(5)
  disk.open()
  await world.world.during(Promise.all(both))
  assert.deepEqual(values(await world.pop()), ['a', 'b'])
  assert.deepEqual(await world.pop({ consumer: 'b' }), [])
  assert.deepEqual(await world.states(), { ...none, leased: 2 })
})
