import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inflightRelease, offset, partitionNumber, topicId } from '@popmq/protocol'
import { DeliveryWorld, popGroup, servedGroup } from './testing/delivery-world.ts'

const values = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, index) => `m${from + index}`)

void test('what is popped is hidden, and gone once it is acknowledged', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(values(3))
  const held = await world.pop({ max: 2 })
  assert.deepEqual(
    held.map(({ value, attempt }) => [value, attempt]),
    [
      ['m0', 1],
      ['m1', 1],
    ],
  )
  assert.deepEqual(await world.states(), { ...none, ready: 1, leased: 2 })
  assert.deepEqual(await world.ack(held), ['acked', 'acked'])
  assert.deepEqual(await world.ack(held), ['already', 'already'])
  assert.deepEqual(
    (await world.pop()).map(({ value }) => value),
    ['m2'],
  )
  assert.deepEqual(await world.states(), { ...none, leased: 1, acked: 2 })
})

void test('a nack brings the message back after its back-off, and after the last attempt to the dead letters', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(['poison'])
  for (const [attempt, waitMs] of [
    [1, 1_000],
    [2, 5_000],
    [3, 5_000],
  ] as const) {
    const [held] = await world.pop({ waitMs: 60_000 })
    assert.ok(held !== undefined)
    assert.equal(held.attempt, attempt)
    assert.equal(held.history.length, attempt - 1)
    const nackedAt = world.clock.now()
    assert.deepEqual(
      await world.nack([held], { error: { type: 'Boom', message: `no ${attempt}` } }),
      ['retrying'],
    )
    assert.deepEqual(await world.states(), { ...none, retrying: 1 })
    assert.deepEqual(await world.pop(), [])
    const popping = world.popping({ waitMs: 60_000 })
    const again = await world.world.during(popping)
    assert.ok(world.clock.now() - nackedAt >= waitMs, 'never early')
    assert.ok(world.clock.now() - nackedAt < waitMs + 50, 'woken when it is due')
    await world.settle(again, { verb: 'release' })
  }
  const [last] = await world.pop()
  assert.ok(last !== undefined)
  assert.equal(last.attempt, 4)
  assert.deepEqual(await world.nack([last], { error: { type: 'Boom', message: 'no 4' } }), ['dead'])
  assert.deepEqual(await world.states(), { ...none, dead: 1 })
  assert.equal(world.set.viewSet.letters.find(servedGroup().groupId)?.high, 1)
})

void test('an expired lease is free at once twice, then follows the back-off', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(['slow'])
  for (const attempt of [1, 2, 3]) {
    const [held] = await world.pop({ waitMs: 60_000, invisibleMs: 2_000 })
    assert.equal(held?.attempt, attempt)
    assert.equal(held?.isRetry, false)
  }
  await world.clock.run(2_100)
  assert.deepEqual(await world.states(), { ...none, retrying: 1 })
  const [retried] = await world.pop({ waitMs: 60_000 })
  assert.equal(retried?.attempt, 4)
  assert.deepEqual(
    retried?.history.map(({ n, outcome, heldMs }) => [n, outcome, heldMs]),
    [
      [1, 'expired', 2_000],
      [2, 'expired', 2_000],
      [3, 'expired', 2_000],
    ],
  )
})

void test('after a restart known leases are honoured, and settled messages stay settled', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(values(6))
  const held = await world.pop({ max: 4 })
  await world.ack(held.slice(0, 2))
  await world.nack(held.slice(2, 3), { delayMs: 20_000 })
  await world.world.restart('lose')
  assert.deepEqual(await world.states(), { ...none, acked: 2, retrying: 1, leased: 1, ready: 2 })
  assert.deepEqual(await world.ack(held), ['already', 'already', 'already', 'acked'])
  assert.deepEqual(
    (await world.pop()).map(({ value }) => value),
    ['m4', 'm5'],
  )
})

void test('a lease that was taken away counts as a delivery, told with the time that it lasted', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(['slow'])
  const [held] = await world.pop({ consumer: 'a' })
  assert.ok(held !== undefined)
  await world.clock.run(4_000)
  const place = { topicId: topicId(1), partition: partitionNumber(0), offset: offset(0) }
  const request = { groupId: popGroup, messages: [place] }
  const { reply } = await world.world.ask(inflightRelease, request)
  assert.deepEqual(reply.released, [true])
  await world.clock.run(1_000)
  const again = await world.pop({ consumer: 'b' })
  assert.equal(again[0]?.attempt, 2)
  await world.nack(again, { delayMs: 0 })
  const [retry] = await world.pop({ waitMs: 1_000 })
  const told = retry?.history.map(({ n, outcome, heldMs }) => [n, outcome, heldMs > 3_900])
  assert.deepEqual(told, [
    [1, 'expired', true],
    [2, 'nack', false],
  ])
  assert.deepEqual(await world.ack([held]), ['already'])
})

void test('a delivery that was taken away and failed after all is one, and told as failed', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(['slow'])
  const held = await world.pop({ consumer: 'a' })
  const place = { topicId: topicId(1), partition: partitionNumber(0), offset: offset(0) }
  await world.world.ask(inflightRelease, { groupId: popGroup, messages: [place] })
  await world.nack(held, { delayMs: 0 })
  const [retry] = await world.pop({ waitMs: 1_000 })
  const told = retry?.history.map(({ n, outcome, consumer }) => [n, outcome, consumer])
  assert.deepEqual(told, [[1, 'nack', 'a']])
  assert.equal(retry?.attempt, 2)
})

void test('of two handles of one message the one that is good counts, whatever stands in front of it', async () => {
  const world = await new DeliveryWorld().start()
  await world.send(['twice'])
  const old = await world.pop({ invisibleMs: 200 })
  await world.clock.run(300)
  const good = await world.pop()
  assert.deepEqual(await world.ack([...old, ...good, ...good]), ['expired', 'acked', 'already'])
})

const none = { ready: 0, leased: 0, retrying: 0, parked: 0, dead: 0, acked: 0, skipped: 0 }
