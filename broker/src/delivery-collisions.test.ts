import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  inflightRelease,
  isMqError,
  offset,
  partitionNumber,
  purge,
  retryChange,
  type ServedGroup,
  topicId,
} from '@popmq/protocol'
import { sampleTopic } from './core/testing/sample-set.ts'
import { DeliveryWorld, type Held, popGroup, servedGroup } from './testing/delivery-world.ts'
import { filler, forget, gatedWorld } from './testing/gated-disk.ts'

const none = { ready: 0, leased: 0, retrying: 0, parked: 0, dead: 0, acked: 0, skipped: 0 }
const values = (held: readonly Held[]): string[] => held.map(({ value }) => value)
const inFlight = (world: DeliveryWorld): number =>
  world.set.delivering.dispatch.group(popGroup).inFlight.total
const first = { topicId: topicId(1), partition: partitionNumber(0) }

function resetTo(to: number, generation: number): ServedGroup {
  const offsets = [{ partition: partitionNumber(0), offset: offset(to), generation }]
  return servedGroup({ topic: { reset: { generation, offsets } } })
}

void test('what became free and what is new, handed out by one pop, are both remembered', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(['a'])
  await world.pop({ invisibleMs: 1_000 })
  await world.clock.run(1_000)
  await world.send(['b', 'c'])
  const held = await world.pop()
  assert.deepEqual(
    held.map(({ value, attempt }) => [value, attempt]),
    [
      ['a', 2],
      ['b', 1],
      ['c', 1],
    ],
  )
  assert.deepEqual(await world.states(), { ...none, leased: 3 })
  assert.deepEqual(await world.ack(held), ['acked', 'acked', 'acked'])
  assert.deepEqual(await world.states(), { ...none, acked: 3 })
})

void test('an ack of a message whose nack waits behind another is answered from the nack', async () => {
  const { world, disk } = await gatedWorld()
  await world.send(['a', 'b'])
  const held = await world.pop()
  await forget(world)
  disk.shut()
  const nacked = world.settling(held, { verb: 'nack', delayMs: 60_000 })
  await world.clock.run(5)
  const acked = world.settling(held.slice(1), { verb: 'ack' })
  await world.clock.run(5)
  disk.open()
  const results = await world.world.during(Promise.all([nacked, acked]))
  assert.deepEqual(results, [['retrying', 'retrying'], ['already']])
  assert.deepEqual(await world.states(), { ...none, retrying: 2 })
})

void test('a message whose nack waits behind another goes to nobody else when its lease ends meanwhile', async () => {
  const { world, disk } = await gatedWorld()
  await world.send(['a', 'b'])
  const held = await world.pop({ invisibleMs: 1_000 })
  await forget(world)
  disk.shut()
  const nacked = world.settling(held, { verb: 'nack', delayMs: 60_000 })
  await world.clock.run(1_500)
  const other = world.popping({ consumer: 'b' })
  await world.clock.run(5)
  disk.open()
  assert.deepEqual(await world.world.during(nacked), ['retrying', 'retrying'])
  assert.deepEqual(await world.world.during(other), [])
})

void test('an ack that waited for a nack which was refused is not told that its message was settled', async () => {
  const { world, disk } = await gatedWorld()
  await world.send(['a', 'b'])
  const held = await world.pop()
  await forget(world)
  disk.shut()
  const nacked = world.settling(held.slice(0, 1), { verb: 'nack' })
  await world.clock.run(5)
  const acked = world.settling(held, { verb: 'ack' })
  await world.clock.run(5)
  const pushed = world.world.push({ groups: [resetTo(0, 1)] })
  await world.clock.run(5)
  disk.open()
  const outcomes = await world.world.during(Promise.allSettled([nacked, acked]))
  // Of the ack one message was done with: that nothing was is not said.
  const names = outcomes.map((each) => each.status === 'rejected' && each.reason.name)
  assert.deepEqual(names, ['broker_busy', 'outcome_unknown'])
  await pushed
  assert.deepEqual(await world.ack(held), ['expired', 'expired'])
  assert.deepEqual(await world.states(), { ...none, ready: 2 })
  assert.equal(inFlight(world), 0)
})

void test('a nack of which one message was moved and another was refused does not say that nothing was done', async () => {
  const { world, disk } = await gatedWorld()
  await world.send(['moved'], { partition: 1 })
  await world.send(['reset'])
  const held = await world.pop()
  const [moved, reset] = ['moved', 'reset'].map((name) =>
    held.filter(({ value }) => value === name),
  )
  assert.ok(moved?.length === 1 && reset?.length === 1)
  await forget(world)
  disk.shut()
  const nacked = world.settling([...moved, ...reset], { verb: 'nack', delayMs: 60_000 })
  await world.clock.run(5)
  const pushed = world.world.push({ groups: [resetTo(0, 1)] })
  await world.clock.run(5)
  disk.open()
  const [outcome] = await world.world.during(Promise.allSettled([nacked]))
  assert.ok(outcome?.status === 'rejected' && isMqError(outcome.reason, 'outcome_unknown'))
  await pushed
  assert.deepEqual(await world.nack([...moved, ...reset]), ['already', 'expired'])
  assert.deepEqual(await world.states(), { ...none, retrying: 1, ready: 1 })
})

void test('a message is not passed by while a handle that outlived its lease settles it', async () => {
  const { world, disk } = await gatedWorld()
  await world.send(['a', 'b'])
  const lost = await world.pop({ max: 1 })
  await world.world.restart('lose')
  disk.shut()
  const nacked = world.settling(lost, { verb: 'nack', delayMs: 60_000 })
  await world.clock.run(5)
  const other = world.popping({ consumer: 'b', waitMs: 10_000 })
  await world.clock.run(5)
  disk.open()
  assert.deepEqual(await world.world.during(nacked), ['retrying'])
  assert.deepEqual(values(await world.world.during(other)), ['b'])
  assert.deepEqual(await world.states(), { ...none, retrying: 1, leased: 1 })
})

void test('what is handed out while its horizon passes counts for no limit afterwards', async () => {
  const { world, disk } = await gatedWorld()
  await world.send(['a', 'b', 'c'])
  disk.shut()
  const purged = world.caller.call(purge, { ...first, before: offset(2) }, { timeoutMs: 60_000 })
  await world.clock.run(5)
  const held = await world.pop()
  disk.open()
  await world.world.during(purged)
  assert.deepEqual(await world.states(), { ...none, leased: 1, skipped: 2 })
  assert.equal(inFlight(world), 1)
  assert.deepEqual(await world.ack(held), ['already', 'already', 'acked'])
  assert.equal(inFlight(world), 0)
})

void test('what is in hand when its horizon passes can be settled, and comes again when its lease ends', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(['a', 'b', 'c', 'd'])
  const held = await world.pop({ max: 3, invisibleMs: 2_000 })
  await world.world.ask(purge, { ...first, before: offset(4) })
  assert.deepEqual(await world.states(), { ...none, leased: 3, skipped: 1 })
  assert.deepEqual(await world.ack(held.slice(0, 1)), ['acked'])
  await world.world.restart('lose')
  await world.clock.run(2_000)
  assert.deepEqual(values(await world.pop()), ['b', 'c'])
  assert.deepEqual(await world.nack(held.slice(1, 2)), ['expired'])
})

void test('a topic is deleted under live handles, and one of its name is made: neither knows of the other', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(['a', 'b'])
  const held = await world.pop()
  await world.nack(held.slice(1), { delayMs: 0 })
  const [retried] = await world.pop()
  assert.ok(retried !== undefined)
  const again = { ...sampleTopic, id: topicId(2) }
  const groups = [servedGroup({ topic: { topicId: again.id } })]
  await world.world.push({ topics: [again], groups })
  assert.equal(inFlight(world), 0)
  assert.deepEqual(await world.ack([...held, retried]), ['unknown', 'unknown', 'unknown'])
  await world.send(['c'], { topic: again.id })
  assert.deepEqual(values(await world.pop({ topics: [again.id] })), ['c'])
  assert.deepEqual(await world.states(), { ...none, leased: 1 })
  await world.clock.run(60_000)
  assert.equal(world.set.viewSet.delivery.retries.size, 0)
  assert.deepEqual(values(await world.pop({ topics: [again.id] })), ['c'])
})

void test('a lease ends also when its group read no topic while the broker began', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(['a'])
  await world.pop({ invisibleMs: 5_000 })
  await world.states()
  world.world.groups = [servedGroup({ topics: [] })]
  await world.world.restart('lose')
  await world.world.push({ groups: [servedGroup()] })
  assert.deepEqual(values(await world.pop({ waitMs: 10_000 })), ['a'])
})

void test('a topic that is deleted while a failed message of it is read leaves no copy behind', async () => {
  const { world, disk } = await gatedWorld()
  await world.send(['a'])
  const held = await world.pop()
  await forget(world)
  disk.shut()
  const nacked = world.settling(held, { verb: 'nack' })
  await world.clock.run(5)
  const pushed = world.world.push({ topics: [filler] })
  await world.clock.run(5)
  disk.open()
  assert.deepEqual(await world.world.during(nacked), ['unknown'])
  await pushed
  await world.clock.run(5_000)
  assert.equal(world.set.viewSet.delivery.retries.size, 0)
  assert.equal(inFlight(world), 0)
})

void test('what was given back and then failed after all has a history that can be read', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(['a'])
  const held = await world.pop()
  await world.settle(held, { verb: 'release' })
  assert.deepEqual(await world.nack(held, { delayMs: 0, error: { message: 'no' } }), ['retrying'])
  const [again] = await world.pop()
  assert.equal(again?.attempt, 2)
  assert.deepEqual(
    again?.history.map(({ n, outcome, error }) => [n, outcome, error?.message]),
    [[1, 'nack', 'no']],
  )
})

void test('a lease that an operator took away is told in the history', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(['a'])
  const [held] = await world.pop()
  assert.ok(held !== undefined)
  const messages = [{ ...first, offset: offset(0) }]
  const { reply } = await world.world.ask(inflightRelease, { groupId: popGroup, messages })
  assert.deepEqual(reply.released, [true])
  assert.deepEqual(await world.states(), { ...none, ready: 1 })
  const second = await world.pop({ consumer: 'b' })
  assert.equal(second[0]?.attempt, 2)
  await world.nack(second, { delayMs: 0 })
  const [third] = await world.pop()
  assert.deepEqual(
    third?.history.map(({ n, outcome, consumer }) => [n, outcome, consumer]),
    [
      [1, 'expired', 'a'],
      [2, 'nack', 'b'],
    ],
  )
})

void test('a retry that an operator wants now is due now, whatever the clock did', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(['a'])
  await world.nack(await world.pop(), { delayMs: 600_000 })
  world.clock.setWall(world.clock.now() + 3_600_000)
  const [retry] = world.set.viewSet.delivery.retries.all()
  assert.ok(retry !== undefined)
  const change = { groupId: popGroup, numbers: [retry.number], to: 'now' as const }
  const { reply } = await world.world.ask(retryChange, change)
  assert.deepEqual(reply.results, ['done'])
  assert.deepEqual(values(await world.pop({ waitMs: 1_000 })), ['a'])
})

void test('what a filter passed by is told although a retry is handed out in the same answer', async () => {
  const world = await new DeliveryWorld().start([servedGroup({ topic: { tags: ['red'] } })])
  await world.send(['r'], { tag: 'red' })
  await world.nack(await world.pop(), { delayMs: 0 })
  await world.send(['x', 'y'], { tag: 'blue' })
  assert.deepEqual(values(await world.pop()), ['r'])
  assert.deepEqual(await world.states(), { ...none, leased: 1, skipped: 2 })
})

void test('a reset forward over what is in hand, acknowledged ahead and never handed out adds up', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(['a', 'b', 'c', 'd'])
  const held = await world.pop({ max: 2 })
  await world.world.push({ groups: [resetTo(3, 1)] })
  assert.deepEqual(await world.states(), { ...none, leased: 2, skipped: 1, ready: 1 })
  assert.deepEqual(await world.ack(held), ['expired', 'expired'])
  await world.world.push({ groups: [resetTo(0, 2)] })
  assert.deepEqual(await world.states(), { ...none, ready: 4 })
})
