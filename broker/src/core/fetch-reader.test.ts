import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errorName, MqError, offset, partitionNumber, topicId } from '@popmq/protocol'
import { FetchReader } from './fetch-reader.ts'
import type { LogReader } from './log/log-reader.ts'
import { EntryRange } from './consume-queue/index.ts'
import { sampleTopic } from './testing/sample-set.ts'

const rising = { topicId: topicId(1), partition: partitionNumber(0), offset: offset(2) }
const steady = { topicId: topicId(1), partition: partitionNumber(1), offset: offset(0) }

const emptyLog: Pick<LogReader, 'pinned' | 'read'> = {
  pinned: (reading) => reading(),
  read: () => [],
}

/** Two partitions whose entries are on disk; while they are read, the low offset of the first rises to `low`. */
function readerOf(low: number): FetchReader {
  let isRead = false
  return new FetchReader({
    topics: { led: () => sampleTopic },
    log: emptyLog,
    queues: {
      bounds: (key) => {
        const isRising = isRead && key % 1_024 === rising.partition
        return { low: offset(isRising ? low : 0), high: offset(9) }
      },
      sliceNow: () => undefined,
      slice: async (key, from) => {
        await Promise.resolve()
        isRead = true
        if (key % 1_024 !== rising.partition || from >= low) return new EntryRange(from, 0, [])
        throw new MqError('offset_out_of_range', `offset ${from} is below ${low}`)
      },
    },
  })
}

void test('a low offset that rises while entries are read refuses its own partition, and the others are told', async () => {
  const { results, rest } = await readerOf(5).read([rising, steady], 1_000)
  assert.equal(results.length, 1, 'only the refusal is news')
  const [refused] = results
  assert.equal(refused?.partition, rising.partition)
  assert.equal(errorName(refused?.error ?? 0), 'offset_out_of_range')
  assert.deepEqual([refused?.low, refused?.high], [5, 9], 'the bounds are those of after the wait')
  assert.deepEqual(
    rest.map(({ partition }) => partition),
    [0, 1],
  )
})

void test('a failure to read entries that is no refusal fails the request', async () => {
  const broken = new FetchReader({
    topics: { led: () => sampleTopic },
    log: emptyLog,
    queues: {
      bounds: () => ({ low: offset(0), high: offset(9) }),
      sliceNow: () => undefined,
      slice: () => Promise.reject(new MqError('disk_failed', 'the index cannot be read')),
    },
  })
  await assert.rejects(broken.read([rising], 1_000), { name: 'disk_failed' })
})
