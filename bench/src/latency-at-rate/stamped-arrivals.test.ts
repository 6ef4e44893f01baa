import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Message, PartitionMessages } from '@popmq/client'
import { isMqError } from '@popmq/client'
import { latencyOfAll } from './latency-histogram.ts'
import { type Stamp, stampBytes, writeStamp } from './stamp.ts'
import { StampedArrivals } from './stamped-arrivals.ts'

const sizeBytes = stampBytes + 1

/** What a consumer gets of one partition: nothing but the bytes is looked at. */
function got(partition: number, stamps: readonly Stamp[]): { partitions: PartitionMessages[] } {
  const messages = stamps.map((stamp) => {
    // As in a reply: in the midst of other bytes.
    const bytes = new Uint8Array(3 + sizeBytes).subarray(3)
    writeStamp(bytes, stamp)
    return { bytes } as unknown as Message
  })
  return { partitions: [{ topic: 't', partition, messages, next: 0 }] }
}

function stamp(number: number): Stamp {
  return { number, intendedMs: 1e9 + number, sentMs: 1e9 + number + 0.5 }
}

function expecting(measuredFrom: 'intended' | 'sent'): StampedArrivals {
  return new StampedArrivals({ messages: 3, sizeBytes, partitions: 2, measuredFrom })
}

void test('a message is measured from when it was to be sent, or from when it was', () => {
  for (const [measuredFrom, earlierMs] of [['intended', 0] as const, ['sent', 0.5] as const]) {
    const arrivals = expecting(measuredFrom)
    arrivals.take(got(0, [stamp(0), stamp(2)]), 1e9 + 4)
    assert.equal(arrivals.isComplete, false)
    arrivals.take(got(1, [stamp(1)]), 1e9 + 11)
    assert.equal(arrivals.isComplete, true)
    const { count, p50Ms, maxMs } = latencyOfAll([arrivals.encode()])
    assert.equal(count, 3)
    // To three digits.
    assert.ok(Math.abs(p50Ms - (4 - earlierMs)) < 0.01)
    assert.ok(Math.abs(maxMs - (10 - earlierMs)) < 0.01)
  }
})

void test('of messages that were sent at one moment each is counted', () => {
  const arrivals = expecting('sent')
  const [first, second, last] = [stamp(0), stamp(1), stamp(2)]
  arrivals.take(got(1, [first, { ...second, sentMs: first.sentMs }, last]), 1e9 + 3)
  const { count, p50Ms, maxMs } = latencyOfAll([arrivals.encode()])
  assert.equal(count, 3)
  assert.ok(Math.abs(p50Ms - 2.5) < 0.01 && Math.abs(maxMs - 2.5) < 0.01)
})

void test('a message that comes twice or out of order ends the measurement', () => {
  const twice = expecting('sent')
  twice.take(got(0, [stamp(1)]), 1e9 + 9)
  for (const wrong of [got(1, [stamp(1)]), got(0, [stamp(0)])])
    assert.throws(
      () => twice.take(wrong, 1e9 + 9),
      (error) => isMqError(error, 'corrupt_record'),
    )
})
