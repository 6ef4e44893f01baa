import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MqError } from '@popmq/client'
import { readNumber } from '../tally.ts'
import type { PeerClient } from './clients/peer-client.ts'
import { fillBatch, makeBatch, sendAll } from './sending.ts'

void test('a key is always in one stream, and all streams have their share', () => {
  const batch = makeBatch({ batch: 2_500, sizeBytes: 8 })
  fillBatch(batch, 700, 8)
  const streamOf = new Map<string, number>()
  for (const { key, stream, number, value } of batch) {
    assert.equal(streamOf.get(key) ?? stream, stream)
    streamOf.set(key, stream)
    assert.equal(readNumber(value), number)
  }
  assert.equal(streamOf.size, 1_000)
  assert.deepEqual(new Set(streamOf.values()).size, 8)
})

void test('each message is sent once, the last batch is short', async () => {
  const numbers: number[] = []
  const sizes: number[] = []
  const refuse = (): Promise<never> => Promise.reject(new MqError('internal', 'only send is asked'))
  const client: PeerClient = {
    send: (_run, batch) => {
      sizes.push(batch.length)
      numbers.push(...batch.map(({ value }) => readNumber(value)))
      return Promise.resolve()
    },
    ...{ create: refuse, read: refuse, openPop: refuse, unacked: refuse, remove: refuse },
    close: () => Promise.resolve(),
  }
  await sendAll(client, { run: { name: 'r', streams: 2 }, messages: 105, batch: 10, sizeBytes: 8 })
  assert.deepEqual(
    numbers.toSorted((a, b) => a - b),
    Array.from({ length: 105 }, (_, number) => number),
  )
  assert.deepEqual([sizes.length, Math.min(...sizes)], [11, 5])
})
