import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Scheduler } from '@popmq/kit/testing'
import {
  epoch,
  errorNumber,
  type fetch,
  type FetchedPartition,
  groupId,
  offset,
  partitionKey,
  partitionNumber,
  type ReplyOf,
  topicId,
} from '@popmq/protocol'
import type { Fetched } from '../core/fetch-reader.ts'
import { GrantFences } from '../core/grant-fences.ts'
import { sampleTopic } from '../core/testing/sample-set.ts'
import { Topics } from '../core/topics.ts'
import { Waiters } from '../core/waiters.ts'
import { handleFetch } from './fetch.ts'

const grantFenced = errorNumber('grant_fenced')
const first = { topicId: topicId(1), partition: partitionNumber(0) }
const second = { topicId: topicId(1), partition: partitionNumber(1) }

/** To read a partition of the sample topic from its start, under the grant of a member. */
function granted(place: typeof first, of: number): FetchedPartition {
  return { ...place, offset: offset(0), grant: { groupId: groupId(1), epoch: epoch(of) } }
}

function asking(...partitions: FetchedPartition[]) {
  return { partitions, waitMs: 30_000, maxBytes: 1_000 }
}

function told({ results }: ReplyOf<typeof fetch>): unknown[] {
  return results.map(({ partition, error, next }) => [partition, error, next])
}

/** What the handler needs, with a reader that does as told. */
function parts(read: (partitions: readonly FetchedPartition[]) => Promise<Fetched>) {
  const clock = new Scheduler()
  const bounds = () => ({ low: offset(0), high: offset(5) })
  const topics = new Topics(1, [sampleTopic])
  const fences = new GrantFences()
  const set = { reader: { read }, waiters: new Waiters(clock), fences, topics, bounds }
  return { set, clock, isStopping: () => false }
}

const connection = { isClosed: false, onClosed: () => undefined }

void test('what was read while a newer grant came is not told', async () => {
  let reads = 0
  const given = parts(async (partitions) => {
    reads += 1
    const key = partitionKey(first.topicId, first.partition)
    given.set.fences.see({ groupId: groupId(1), epoch: epoch(4), key })
    const slices = partitions.map(() => Uint8Array.of(1))
    const results = partitions.map(({ topicId: topic, partition }) => {
      const place = { topicId: topic, partition, low: offset(0), high: offset(5) }
      return { ...place, next: offset(1), bytes: 1 }
    })
    return { results, slices, passed: [], rest: [...partitions] }
  })
  const asked = asking(granted(first, 3), granted(second, 3))
  const { reply, slices } = await handleFetch(asked, connection, given)
  assert.deepEqual(told(reply), [
    [1, undefined, 1],
    [0, grantFenced, 0],
  ])
  assert.deepEqual([slices?.length, reads], [1, 2])
  assert.equal(given.set.waiters.size, 0)
})

void test('what a filter passed by before the fence is not told beside it', async () => {
  const given = parts(async (partitions) => {
    const passed = partitions.map(({ topicId: topic, partition }) => {
      const place = { topicId: topic, partition, low: offset(0), high: offset(5) }
      return { ...place, next: offset(3), bytes: 0 }
    })
    const rest = partitions.map((each) => ({ ...each, offset: offset(3) }))
    return { results: [], slices: [], passed, rest }
  })
  const held = handleFetch(asking(granted(first, 3)), connection, given)
  await given.clock.run(10)
  const newer = { ...asking(granted(first, 4)), waitMs: 0 }
  await handleFetch(newer, connection, given)
  assert.deepEqual(told((await held).reply), [[0, grantFenced, 3]])
})
