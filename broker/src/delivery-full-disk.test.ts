import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMqError } from '@popmq/protocol'
import { DeliveryWorld, type Held, popGroup } from './testing/delivery-world.ts'

const none = { ready: 0, leased: 0, retrying: 0, parked: 0, dead: 0, acked: 0, skipped: 0 }
const values = (held: readonly Held[]): string[] => held.map(({ value }) => value)

/** What a request came to: its results, or the name of its error. */
async function outcome(asking: Promise<readonly unknown[]>): Promise<string> {
  try {
    return (await asking).join()
  } catch (error) {
    assert.ok(isMqError(error), String(error))
    return error.name
  }
}

/** With segments so small that no room is written ahead in them: a disk that is full takes nothing at all. */
function tightWorld(): Promise<DeliveryWorld> {
  const world = new DeliveryWorld()
  world.world.segmentBytes = 6_144
  return world.start()
}

async function fill(world: DeliveryWorld): Promise<void> {
  const { storage } = world.world
  const { freeBytes, totalBytes } = await storage.space()
  storage.setCapacity(totalBytes - freeBytes)
}

void test('the disk is full in the middle of failing: what is refused stays in hand, nothing is lost, and all goes on', async () => {
  const world = await tightWorld()
  await world.send(['a', 'b', 'c', 'd'])
  const held = await world.pop({ invisibleMs: 20_000 })
  await world.states()
  await fill(world)
  // The one that found the disk full was taken: it is written when there is room.
  assert.equal(await outcome(world.nack(held.slice(0, 1), { delayMs: 60_000 })), 'outcome_unknown')
  assert.equal(await outcome(world.nack(held.slice(1, 2), { delayMs: 60_000 })), 'disk_full')
  assert.equal(await outcome(world.ack(held.slice(2, 3))), 'disk_full')
  const extended = world.settle(held.slice(3), { verb: 'extend', invisibleMs: 60_000 })
  assert.equal(await outcome(extended), 'disk_full')
  assert.equal(await outcome(world.settle(held.slice(3), { verb: 'release' })), 'disk_full')
  const group = world.set.delivering.dispatch.group(popGroup)
  assert.equal(group.inFlight.total, 3)
  world.world.storage.setCapacity(2 ** 40)
  await world.clock.run(2_000)
  assert.deepEqual(await world.states(), { ...none, retrying: 1, leased: 3 })
  assert.deepEqual(await world.nack(held.slice(0, 2)), ['already', 'retrying'])
  assert.deepEqual(await world.ack(held.slice(2)), ['acked', 'acked'])
  assert.equal(group.inFlight.total, 0)
  await world.clock.run(60_000)
  assert.deepEqual(values(await world.pop()).toSorted(), ['a', 'b'])
})

void test('leases end while the disk is full: their messages are handed out, or moved, when there is room', async () => {
  const world = await tightWorld()
  await world.send(['thrice', 'once'])
  for (let attempt = 1; attempt <= 2; attempt += 1) {
    await world.pop({ max: 1, invisibleMs: 1_000 })
    await world.clock.run(1_000)
  }
  const held = await world.pop({ invisibleMs: 5_000 })
  assert.deepEqual(
    held.map(({ value, attempt }) => [value, attempt]),
    [
      ['thrice', 3],
      ['once', 1],
    ],
  )
  await world.states()
  await fill(world)
  await assert.rejects(world.send(['filler'], { partition: 1 }), /sync was not confirmed/)
  await world.clock.run(20_000)
  assert.equal(await outcome(world.pop({ consumer: 'b' })), 'disk_full')
  world.world.storage.setCapacity(2 ** 40)
  await world.clock.run(3_000)
  const states = await world.states()
  assert.deepEqual([states.retrying, states.leased], [1, 0])
  const again = await world.pop({ waitMs: 30_000 })
  assert.ok(values(again).includes('once'))
  const third = await world.pop({ waitMs: 30_000 })
  assert.deepEqual([...again, ...third].filter(({ value }) => value === 'thrice').length, 1)
})

void test('a nack that is refused ends no lease before its time, whatever the clock did', async () => {
  const world = await tightWorld()
  await world.send(['a', 'b'])
  const held = await world.pop({ invisibleMs: 20_000 })
  await world.states()
  await fill(world)
  assert.equal(await outcome(world.nack(held.slice(0, 1), { delayMs: 60_000 })), 'outcome_unknown')
  world.clock.setWall(world.clock.now() + 3_600_000)
  assert.equal(await outcome(world.nack(held.slice(1))), 'disk_full')
  world.world.storage.setCapacity(2 ** 40)
  await world.clock.run(5_000)
  assert.deepEqual(await world.states(), { ...none, leased: 1, retrying: 1 })
  await world.clock.run(15_000)
  assert.deepEqual(await world.states(), { ...none, ready: 1, retrying: 1 })
})

void test('a pop that cannot be written down hands out nothing, and the messages keep their order', async () => {
  const world = await tightWorld()
  await world.send(['a', 'b', 'c', 'd'])
  const [first] = await world.pop({ max: 1 })
  await world.states()
  await fill(world)
  await assert.rejects(world.send(['filler'], { partition: 1 }), /sync was not confirmed/)
  for (let attempt = 0; attempt < 3; attempt += 1)
    assert.equal(await outcome(world.pop({ max: 2 })), 'disk_full')
  assert.equal(world.set.delivering.dispatch.group(popGroup).inFlight.total, 1)
  world.world.storage.setCapacity(2 ** 40)
  await world.clock.run(2_000)
  const held = await world.pop({ max: 3 })
  assert.deepEqual(values(held), ['b', 'c', 'd'])
  assert.ok(first !== undefined)
  assert.deepEqual(await world.ack([first, ...held]), ['acked', 'acked', 'acked', 'acked'])
})

void test('the broker stops while the disk is full: what was answered is kept, the rest comes again', async () => {
  const world = await tightWorld()
  await world.send(['a', 'b', 'c'])
  const held = await world.pop()
  assert.deepEqual(await world.ack(held.slice(0, 1)), ['acked'])
  await fill(world)
  assert.equal(await outcome(world.nack(held.slice(1, 2), { delayMs: 0 })), 'outcome_unknown')
  assert.equal(await outcome(world.ack(held.slice(2))), 'disk_full')
  world.world.storage.setCapacity(2 ** 40)
  await world.world.restart('lose')
  const states = await world.states()
  assert.equal(states.acked, 1)
  const results = await world.ack(held)
  assert.deepEqual(results, ['already', states.retrying === 1 ? 'already' : 'acked', 'acked'])
})
