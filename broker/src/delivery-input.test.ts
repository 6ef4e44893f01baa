import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type ErrorName,
  groupId,
  inflightRelease,
  isMqError,
  offset,
  partitionNumber,
  type pop,
  type RequestOf,
  retryChange,
  settle,
  topicId,
} from '@popmq/protocol'
import { sampleTopic } from './core/testing/sample-set.ts'
import {
  DeliveryWorld,
  type Held,
  policy,
  popGroup,
  servedGroup,
} from './testing/delivery-world.ts'

const none = { ready: 0, leased: 0, retrying: 0, parked: 0, dead: 0, acked: 0, skipped: 0 }
const other = servedGroup({ groupId: groupId(8), name: 'audit', deadTopicId: topicId(1_001) })

async function withOne(): Promise<{ world: DeliveryWorld; held: Held }> {
  const world = await new DeliveryWorld().start([servedGroup(), other])
  await world.send(['m', 'n'])
  const [held] = await world.pop({ max: 1 })
  assert.ok(held !== undefined)
  return { world, held }
}

async function refused(asking: Promise<unknown>, name: ErrorName, about: RegExp): Promise<void> {
  await assert.rejects(asking, (error: unknown) => {
    assert.ok(isMqError(error, name), String(error))
    assert.match(error.message, about)
    return true
  })
}

void test('a forged handle names nothing, whichever bit of it is wrong', async () => {
  const { world, held } = await withOne()
  for (let at = 0; at < held.lease.length; at += 1) {
    const lease = held.lease.slice()
    lease[at] = (lease[at] ?? 0) ^ (1 << (at % 8))
    assert.deepEqual(await world.settle([{ ...held, lease }], { verb: 'ack' }), ['unknown'])
  }
  const short = { ...held, lease: held.lease.subarray(0, 45) }
  const empty = { ...held, lease: new Uint8Array(0) }
  assert.deepEqual(await world.settle([short, empty], { verb: 'nack' }), ['unknown', 'unknown'])
  assert.deepEqual(await world.states(), { ...none, leased: 1, ready: 1 })
})

void test('a handle of another group is foreign, and changes nothing', async () => {
  const { world, held } = await withOne()
  for (const verb of ['ack', 'nack', 'extend', 'release'] as const)
    assert.deepEqual(await world.settle([held], { verb, groupId: other.groupId }), ['foreign'])
  assert.deepEqual(await world.states(), { ...none, leased: 1, ready: 1 })
  assert.deepEqual(await world.states(other.groupId), { ...none, ready: 2 })
})

void test('a handle with another number settles nothing that its lease does not have', async () => {
  const { world, held } = await withOne()
  const [second] = await world.pop({ consumer: 'b' })
  assert.ok(second !== undefined)
  const forged = [second.number, 2, 1e9, 2 ** 52 - 1].map((number) => ({ ...held, number }))
  const results = ['expired', 'unknown', 'unknown', 'unknown']
  for (const verb of ['ack', 'nack', 'release', 'extend'] as const)
    assert.deepEqual(await world.settle(forged, { verb }), results)
  assert.deepEqual(await world.states(), { ...none, leased: 2 })
})

void test('a handle with the number of a retry of another group or partition settles nothing', async () => {
  const { world, held } = await withOne()
  const [theirs] = await world.pop({ groupId: other.groupId, max: 1 })
  assert.ok(theirs !== undefined)
  const nack = { verb: 'nack', groupId: other.groupId, delayMs: 0 } as const
  assert.deepEqual(await world.settle([theirs], nack), ['retrying'])
  const [retry] = world.set.viewSet.delivery.retries.of(other.groupId)
  assert.ok(retry !== undefined)
  const forged = { ...held, number: retry.number }
  for (const verb of ['ack', 'nack', 'release', 'extend'] as const)
    assert.deepEqual(await world.settle([forged], { verb }), ['unknown'])
  const [popped] = await world.pop({ groupId: other.groupId, max: 1 })
  assert.equal(popped?.number, retry.number)
  const place = { topicId: topicId(1), partition: partitionNumber(0), offset: offset(0) }
  const messages = [{ ...place, number: retry.number }]
  const { reply } = await world.world.ask(inflightRelease, { groupId: popGroup, messages })
  assert.deepEqual(reply.released, [false])
  const change = { groupId: popGroup, numbers: [retry.number], to: 'dead' as const }
  assert.deepEqual((await world.world.ask(retryChange, change)).reply.results, ['unknown'])
  assert.deepEqual(await world.states(other.groupId), { ...none, leased: 1, ready: 1 })
})

void test('an expired handle says so, and the one that took its place goes on', async () => {
  const { world, held } = await withOne()
  await world.clock.run(policy.invisibleMs)
  const [again] = await world.pop({ consumer: 'b', max: 1 })
  for (const verb of ['ack', 'nack', 'extend', 'release'] as const)
    assert.deepEqual(await world.settle([held], { verb }), ['expired'])
  assert.ok(again !== undefined)
  assert.deepEqual(await world.ack([again]), ['acked'])
})

void test('a handle that was used says that its message was settled before', async () => {
  const { world, held } = await withOne()
  assert.deepEqual(await world.ack([held]), ['acked'])
  for (const verb of ['ack', 'nack', 'extend', 'release'] as const)
    assert.deepEqual(await world.settle([held], { verb }), ['already'])
  assert.deepEqual(await world.states(), { ...none, acked: 1, ready: 1 })
})

void test('the same handle twice in one request counts once', async () => {
  const { world, held } = await withOne()
  assert.deepEqual(await world.ack([held, held]), ['acked', 'already'])
  const [second] = await world.pop()
  assert.ok(second !== undefined)
  const leases = [{ lease: second.lease, numbers: [second.number, second.number] }]
  const request = { groupId: popGroup, verb: 'nack' as const, leases }
  const { reply } = await world.world.ask(settle, request)
  assert.deepEqual(reply.results, [['retrying', 'already']])
  assert.deepEqual(await world.states(), { ...none, acked: 1, retrying: 1 })
})

void test('a bad handle in a batch changes nothing for the others', async () => {
  const { world, held } = await withOne()
  const [theirs] = await world.pop({ groupId: other.groupId, max: 1 })
  const [second] = await world.pop()
  assert.ok(theirs !== undefined && second !== undefined)
  const damaged = { ...held, lease: new Uint8Array(46) }
  const results = await world.ack([damaged, held, theirs, second])
  assert.deepEqual(results, ['unknown', 'acked', 'foreign', 'acked'])
})

for (const invisibleMs of [0, -1, 1e12, 0.5, Number.NaN]) {
  void test(`hidden for ${invisibleMs} ms is refused, of a pop and of an extension`, async () => {
    const { world, held } = await withOne()
    await refused(world.pop({ invisibleMs }), 'invalid_request', /invisibleMs/)
    const extended = world.settle([held], { verb: 'extend', invisibleMs })
    await refused(extended, 'invalid_request', /invisibleMs/)
    assert.deepEqual(await world.states(), { ...none, leased: 1, ready: 1 })
  })
}

void test('max, waits and delays out of bounds are refused by name', async () => {
  const { world, held } = await withOne()
  for (const [name, value] of [
    ['max', 0],
    ['max', 10_001],
    ['maxBytes', 0],
    ['waitMs', -1],
    ['waitMs', 60_001],
  ] as const)
    await refused(
      world.pop({ [name]: value } as Partial<RequestOf<typeof pop>>),
      'invalid_request',
      new RegExp(name),
    )
  await refused(world.nack([held], { delayMs: 1e12 }), 'invalid_request', /delayMs/)
  await refused(world.nack([held], { delayMs: -1 }), 'invalid_request', /delayMs/)
})

void test('an error text of a million bytes is refused by name, and the lease goes on', async () => {
  const { world, held } = await withOne()
  for (const field of ['type', 'message', 'stack'] as const) {
    const error = { [field]: 'x'.repeat(1_000_000) }
    await refused(world.nack([held], { error }), 'invalid_request', new RegExp(field))
  }
  assert.deepEqual(await world.ack([held]), ['acked'])
})

void test('a request that is longer than any may be is refused unread', async () => {
  const { world, held } = await withOne()
  const error = { stack: 'x'.repeat(1_048_576) }
  await refused(world.nack([held], { error }), 'malformed_body', /1048576 bytes/)
  assert.deepEqual(await world.states(), { ...none, leased: 1, ready: 1 })
})

void test('a pop of a topic that the group pulls, of one that it does not read, and of no group', async () => {
  const pulled = servedGroup({ topic: { mode: 'pull' } })
  const world = await new DeliveryWorld().start([pulled])
  await refused(world.pop(), 'subscription_conflict', /pull/)
  await refused(world.pop({ topics: [topicId(5)] }), 'topic_not_found', /5/)
  await refused(world.pop({ groupId: groupId(99) }), 'group_not_found', /99/)
  await refused(world.settle([], { verb: 'ack', groupId: groupId(99) }), 'group_not_found', /99/)
  assert.deepEqual(await world.pop({ retriesOnly: true }), [])
})

void test('a reset under pending retries: those that are handed out anew are void, the others stay', async () => {
  const { world } = await withOne()
  const [first, second] = [await world.pop({ max: 1 }), await world.pop({ max: 1 })]
  assert.equal(second.length, 0)
  await world.clock.run(policy.invisibleMs)
  const held = await world.pop()
  assert.equal(first.length, 1)
  assert.deepEqual(await world.nack(held, { delayMs: 1_000 }), ['retrying', 'retrying'])
  const offsets = [{ partition: partitionNumber(0), offset: offset(1), generation: 1 }]
  const reset = servedGroup({ topic: { reset: { generation: 1, offsets } } })
  await world.world.push({ groups: [reset, other] })
  assert.deepEqual(await world.states(), { ...none, retrying: 1, ready: 1 })
  await world.clock.run(1_000)
  const again = await world.pop()
  const seen = again.map(({ value, attempt, isRetry }) => `${value} ${attempt} ${isRetry}`)
  assert.deepEqual(new Set(seen), new Set(['m 3 true', 'n 1 false']))
  assert.deepEqual(await world.ack(again), ['acked', 'acked'])
  assert.deepEqual(await world.states(), { ...none, acked: 2 })
})

void test('a message of the greatest size fails sixteen times and becomes a letter', async () => {
  const sixteen = servedGroup({ policy: { ...policy, maxAttempts: 16, backoff: '1s' } })
  const large = { ...sampleTopic, policy: { ...sampleTopic.policy, maxMessageBytes: 20_000 } }
  const world = await new DeliveryWorld().start([sixteen], [large])
  await world.send([new Uint8Array(20_000).fill(120)])
  const error = { type: 'E'.repeat(256), message: 'e'.repeat(8_192), stack: 's'.repeat(8_192) }
  for (let attempt = 1; attempt <= 16; attempt += 1) {
    const held = await world.pop({ waitMs: 10_000 })
    assert.equal(held[0]?.attempt, attempt)
    assert.equal(held[0].value.length, 20_000)
    assert.equal(held[0].history.length, attempt - 1)
    assert.deepEqual(await world.nack(held, { error }), [attempt < 16 ? 'retrying' : 'dead'])
  }
  assert.deepEqual(await world.states(), { ...none, dead: 1 })
  assert.equal(world.set.viewSet.delivery.retries.size, 0)
})

void test('a message whose copy fits into no segment stays in place, comes again, and is told truthfully', async () => {
  const large = { ...sampleTopic, policy: { ...sampleTopic.policy, maxMessageBytes: 65_536 } }
  const world = await new DeliveryWorld().start([servedGroup()], [large])
  await world.send([new Uint8Array(65_536 - 200).fill(120)])
  const held = await world.pop({ invisibleMs: 5_000 })
  const error = { stack: 's'.repeat(8_000) }
  await refused(world.nack(held, { error }), 'message_too_large', /65536/)
  assert.deepEqual(await world.states(), { ...none, leased: 1 })
  for (let attempt = 2; attempt <= 6; attempt += 1) {
    const [again] = await world.pop({ invisibleMs: 5_000, waitMs: 30_000 })
    assert.equal(again?.attempt, attempt)
  }
  assert.deepEqual(await world.states(), { ...none, leased: 1 })
  const last = await world.pop({ waitMs: 30_000 })
  assert.deepEqual(await world.ack(last), ['acked'])
  assert.deepEqual(await world.states(), { ...none, acked: 1 })
})
