import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  epoch,
  errorNumber,
  fetch,
  type FetchedPartition,
  groupId,
  offset,
  partitionNumber,
  produce,
  type ReplyOf,
  topicId,
} from '@popmq/protocol'
import { sampleRun } from './core/testing/sample-run.ts'
import { BrokerWorld } from './testing/broker-world.ts'

const grantFenced = errorNumber('grant_fenced')
const first = { topicId: topicId(1), partition: partitionNumber(0) }

/** To read a partition of the sample topic from its start, under the grant of a group's member. */
function granted(place: typeof first, of: number, group = 1): FetchedPartition {
  return { ...place, offset: offset(0), grant: { groupId: groupId(group), epoch: epoch(of) } }
}

function asking(...partitions: FetchedPartition[]) {
  return { partitions, waitMs: 30_000, maxBytes: 1_000 }
}

function told({ results }: ReplyOf<typeof fetch>): unknown[] {
  return results.map(({ partition, error, next }) => [partition, error, next])
}

async function send(world: BrokerWorld, place: typeof first, value: string): Promise<void> {
  const bytes = sampleRun({ values: [value] })
  const runs = [{ ...place, bytes: bytes.length, count: 1 }]
  await world.ask(produce, { acks: 'disk', runs }, [bytes])
}

void test('a held fetch ends when a newer grant fetches, and that one is held on', async () => {
  const world = new BrokerWorld()
  const caller = await world.start()
  const old = caller.call(fetch, asking(granted(first, 3)), { timeoutMs: 60_000 })
  await world.clock.run(100)
  const next = caller.call(fetch, asking(granted(first, 4)), { timeoutMs: 60_000 })
  const before = world.clock.monotonic()
  assert.deepEqual(told((await world.during(old)).reply), [[0, grantFenced, 0]])
  assert.ok(world.clock.monotonic() - before < 100)
  await send(world, first, 'a')
  assert.deepEqual(told((await world.during(next)).reply), [[0, undefined, 1]])
})

void test('an older grant reads nothing, and what else it asks for is read', async () => {
  const world = new BrokerWorld()
  await world.start()
  await send(world, first, 'a')
  const other = { ...granted(first, 1, 2), offset: offset(0) }
  await world.ask(fetch, asking(granted(first, 9)))
  const { reply, bytes } = await world.ask(fetch, asking(granted(first, 8), other))
  assert.deepEqual(told(reply), [
    [0, undefined, 1],
    [0, grantFenced, 0],
  ])
  assert.equal(bytes.length, reply.results[0]?.bytes)
  assert.deepEqual([reply.results[1]?.low, reply.results[1]?.high], [0, 1])
})

void test('who reads without a group is never fenced, and fences nobody', async () => {
  const world = new BrokerWorld()
  await world.start()
  await send(world, first, 'a')
  await world.ask(fetch, asking(granted(first, 9)))
  const { reply } = await world.ask(fetch, asking({ ...first, offset: offset(0) }))
  assert.deepEqual(told(reply), [[0, undefined, 1]])
  assert.deepEqual(told((await world.ask(fetch, asking(granted(first, 9)))).reply), [
    [0, undefined, 1],
  ])
})

void test('grants of what is not led here are not remembered', async () => {
  const world = new BrokerWorld()
  await world.start()
  await world.ask(fetch, asking({ ...granted(first, 9), topicId: topicId(77) }))
  assert.equal(world.broker?.set?.fences.size, 0)
  await world.ask(fetch, { ...asking(granted(first, 9)), waitMs: 0 })
  assert.equal(world.broker?.set?.fences.size, 1)
})

void test('a topic that is deleted takes what is known of its grants with it', async () => {
  const world = new BrokerWorld()
  await world.start()
  await world.ask(fetch, { ...asking(granted(first, 9)), waitMs: 0 })
  await world.broker?.set?.update({ topics: [] })
  assert.equal(world.broker?.set?.fences.size, 0)
})
