import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryStorage, randomLatency, SeededRandom } from '@popmq/kit/testing'
import {
  type AckLevel,
  fetch,
  isMqError,
  offset,
  offsets,
  partitionNumber,
  produce,
  purge,
  topicId,
} from '@popmq/protocol'
import { sampleRun } from './core/testing/sample-run.ts'
import { BrokerWorld } from './testing/broker-world.ts'

const id = topicId(1)
const at = (
  partition: number,
): { topicId: typeof id; partition: ReturnType<typeof partitionNumber> } => ({
  topicId: id,
  partition: partitionNumber(partition),
})

async function send(world: BrokerWorld, values: string[], acks: AckLevel = 'disk') {
  const bytes = sampleRun({ values })
  const runs = [{ ...at(0), bytes: bytes.length, count: values.length }]
  const { reply } = await world.ask(produce, { acks, runs }, [bytes])
  return reply.results[0]
}

void test('what was produced is fetched, with the bounds', async () => {
  const world = new BrokerWorld()
  await world.start()
  const result = await send(world, ['a', 'b'])
  assert.deepEqual([result?.baseOffset, result?.level], [0, 'disk'])
  const asked = { partitions: [{ ...at(0), offset: offset(1) }], waitMs: 0, maxBytes: 1_000 }
  const { reply, bytes } = await world.ask(fetch, asked)
  assert.deepEqual(reply.results, [{ ...at(0), low: 0, high: 2, next: 2, bytes: bytes.length }])
})

void test('a held fetch is answered by the next message, and by its time when there is none', async () => {
  const world = new BrokerWorld()
  const caller = await world.start()
  const asked = { partitions: [{ ...at(0), offset: offset(0) }], waitMs: 5_000, maxBytes: 1_000 }
  const started = world.clock.monotonic()
  const empty = await world.ask(fetch, asked)
  assert.deepEqual(empty.reply.results, [])
  assert.ok(world.clock.monotonic() - started >= 5_000)
  const held = caller.call(fetch, asked, { timeoutMs: 10_000 })
  const before = world.clock.monotonic()
  await send(world, ['a'])
  const { reply } = await world.during(held)
  assert.equal(reply.results[0]?.next, 1)
  assert.ok(world.clock.monotonic() - before < 100, 'it was not held to its deadline')
})

void test('a filter passes by what it does not want and tells where to go on', async () => {
  const world = new BrokerWorld()
  await world.start()
  await send(world, ['a', 'b', 'c'])
  const partitions = [{ ...at(0), offset: offset(0), tagHashes: [7] }]
  const { reply, bytes } = await world.ask(fetch, {
    partitions,
    waitMs: 100,
    maxBytes: 1_000,
  })
  assert.equal(bytes.length, 0)
  assert.equal(reply.results[0]?.next, 3)
})

void test('each refusal has its own name, and the other runs of the request are served', async () => {
  const world = new BrokerWorld()
  await world.start()
  const bytes = sampleRun({ values: ['a'] })
  const runs = [
    { ...at(0), bytes: bytes.length, count: 1 },
    { ...at(7), bytes: bytes.length, count: 1 },
  ]
  const { reply } = await world.ask(produce, { acks: 'disk', runs }, [bytes, bytes])
  assert.equal(reply.results[0]?.baseOffset, 0)
  assert.equal(reply.results[1]?.error, 2006)
  assert.equal((await send(world, ['b'], 'quorum'))?.error, 3003)
  await assert.rejects(world.ask(produce, { acks: 'disk', runs }, [bytes]), (error: unknown) =>
    isMqError(error, 'invalid_request'),
  )
  const beyond = { partitions: [{ ...at(0), offset: offset(9) }], waitMs: 1_000, maxBytes: 1_000 }
  const [refused] = (await world.ask(fetch, beyond)).reply.results
  assert.deepEqual([refused?.error, refused?.low, refused?.high], [3101, 0, 1])
  await assert.rejects(world.ask(purge, { ...at(0), before: offset(9) }), (error: unknown) =>
    isMqError(error, 'offset_out_of_range'),
  )
})

void test('offsets by time, and a purge that is durable when it is answered', async () => {
  const world = new BrokerWorld()
  await world.start()
  await send(world, ['a', 'b'])
  await world.clock.run(10_000)
  const later = world.clock.now()
  await send(world, ['c'])
  const { reply } = await world.ask(offsets, { partitions: [{ ...at(0), at: later }] })
  assert.deepEqual(reply.results, [{ ...at(0), low: 0, high: 3, offset: 2 }])
  const { reply: purged } = await world.ask(purge, { ...at(0), before: offset(2) })
  assert.deepEqual(purged, { low: 2, high: 3 })
  world.storage = world.storage.crash({ mode: 'lose' })
  const other = new BrokerWorld()
  other.storage = world.storage
  const again = await other.start().catch((error: unknown) => error)
  assert.ok(isMqError(again, 'registry_behind'), 'a coordinator that gives an old epoch is refused')
})

void test('what was appended before a stop is answered as stored, and is', async () => {
  const world = new BrokerWorld()
  // The disk takes its time, so that the stop comes between the append and its sync.
  let take = randomLatency(world.clock, new SeededRandom(1))
  world.storage = new MemoryStorage({ schedule: (run) => take(run) })
  const caller = await world.start()
  const bytes = sampleRun({ values: ['a'] })
  const runs = [{ ...at(0), bytes: bytes.length, count: 1 }]
  const set = world.broker?.set
  assert.ok(set)
  const logEnd = (): number => set.stats()['logEndBytes'] ?? 0
  const before = logEnd()
  const sent = caller.call(produce, { acks: 'disk', runs }, { timeoutMs: 10_000, slices: [bytes] })
  await world.clock.runUntil(() => logEnd() > before, world.clock.monotonic() + 1_000)
  assert.ok(logEnd() > before, 'it was appended')
  const [{ reply }] = await world.during(Promise.all([sent, world.broker?.close()]))
  assert.equal(reply.results[0]?.error, undefined)
  assert.equal(reply.results[0]?.baseOffset, 0)
  take = queueMicrotask
  const next = new BrokerWorld()
  next.storage = world.storage.crash({ mode: 'lose' })
  next.epoch = 1
  await next.start()
  const asked = { partitions: [{ ...at(0), offset: offset(0) }], waitMs: 0, maxBytes: 1_000 }
  assert.equal((await next.ask(fetch, asked)).reply.results[0]?.next, 1)
})

void test('a stop in good order gives the session back and answers what is held', async () => {
  const world = new BrokerWorld()
  const caller = await world.start()
  const asked = { partitions: [{ ...at(0), offset: offset(0) }], waitMs: 60_000, maxBytes: 1_000 }
  const held = caller.call(fetch, asked, { timeoutMs: 90_000 })
  await world.clock.run(10)
  const before = world.clock.monotonic()
  await world.during(Promise.all([world.broker?.close(), held]))
  assert.ok(world.left)
  assert.ok(world.clock.monotonic() - before < 20_000)
})
