import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AssertionError } from '@popmq/kit'
import { crc32 } from '@popmq/kit/checksum'
import {
  firstHeldNumber,
  isMqError,
  logPosition,
  offset,
  recordFields,
  topicId,
  writeU64,
} from '@popmq/protocol'
import { LiveBytes } from '../consume-queue/live-bytes.ts'
import { WrittenLog } from '../sequencers/testing/written-log.ts'
import { Delays } from './delays.ts'
import { encodeDueCopy } from './due-copy.ts'
import { encodeHoldChanges } from './hold-change.ts'
import { DelayedLog } from './testing/delayed-log.ts'

const held = (index: number): number => firstHeldNumber + index
const all = { nowMs: Number.POSITIVE_INFINITY, most: 1_000, isWithheld: () => false }

function sample(options: { leastDead?: number } = {}) {
  const live = new LiveBytes()
  live.open(logPosition(0))
  return { live, delays: new Delays({ live, ...options }) }
}

void test('a delay counts from the append, a time to deliver at stands for itself', () => {
  const { delays } = sample()
  const log = new DelayedLog(delays)
  log.delayed({ appendedAt: 1_000, delayMs: 50 })
  log.delayed({ appendedAt: 1_000, deliverAt: 7, topic: 2 })
  assert.deepEqual(
    delays.due(all).map(({ number, dueAt, topicId: topic }) => [number - held(0), dueAt, topic]),
    [
      [1, 7, 2],
      [0, 1_050, 1],
    ],
  )
  assert.equal(delays.nextDueAt(), 7)
  assert.equal(
    delays.nextDueAt((number) => number === held(1)),
    1_050,
  )
  assert.deepEqual([delays.count(topicId(1)), delays.count(topicId(3)), delays.size], [1, 0, 2])
})

void test('lists are by number, of one topic, and go on behind the last one seen', () => {
  const { delays } = sample()
  const log = new DelayedLog(delays)
  for (const topic of [1, 2, 1, 1, 2]) log.delayed({ delayMs: 10, topic })
  const numbers = (after: number, limit: number): number[] =>
    delays.list({ topicId: topicId(1), after, limit }).map(({ number }) => number - held(0))
  assert.deepEqual(numbers(0, 2), [0, 2])
  assert.deepEqual(numbers(held(2), 2), [3])
  assert.deepEqual(numbers(held(3), 2), [])
})

void test('only a copy that was due settles: a retry that failed, or a dead letter, has nothing to do with delays', () => {
  const { delays } = sample()
  const log = new DelayedLog(delays)
  const record = log.delayed({ delayMs: 10 })
  log.take({ kind: 'message', topic: 1, partition: 0, offset: offset(held(0)), appendedAt: 1 })
  assert.equal(delays.size, 1)
  const copy = encodeDueCopy(record, { at: 1, crc32 })
  // The cause of a copy lies in its source, the last section before the body.
  copy[copy.length - record.bodyLength - 56 + 1] = 1
  log.takeBytes(copy, offset(0))
  assert.equal(delays.size, 1)
  log.fired(record)
  assert.equal(delays.size, 0)
  assert.ok(delays.wasDelivered(held(0)))
})

void test('whoever follows is told when another message is the first to be due, and only then', () => {
  const { delays } = sample()
  const log = new DelayedLog(delays)
  const told: (number | undefined)[] = []
  delays.follow(() => told.push(delays.nextDueAt()))
  log.delayed({ deliverAt: 100 })
  log.delayed({ deliverAt: 200 })
  log.delayed({ deliverAt: 50 })
  log.changed([{ number: held(2), dueAt: 300 }])
  log.changed([{ number: held(1), dueAt: undefined }])
  log.changed([{ number: held(9), dueAt: undefined }])
  log.gone(1)
  assert.deepEqual(told, [100, 50, 100, undefined])
})

void test('only the newest delivered numbers are remembered, and a snapshot keeps them', () => {
  const live = new LiveBytes()
  live.open(logPosition(0))
  const options = { live, mostDelivered: 3 }
  const delays = new Delays(options)
  const log = new DelayedLog(delays)
  for (let index = 0; index < 5; index += 1) log.fired(log.delayed({ delayMs: 1 }))
  const later = new Delays(options)
  later.restore(delays.encode())
  for (const view of [delays, later]) {
    const known = [0, 1, 2, 3, 4].filter((index) => view.wasDelivered(held(index)))
    assert.deepEqual(known, [2, 3, 4])
  }
  assert.deepEqual(later.encode(), delays.encode())
})

void test('a malformed snapshot is refused and changes nothing', () => {
  const { delays } = sample()
  const log = new DelayedLog(delays)
  for (let index = 0; index < 3; index += 1) log.delayed({ delayMs: 10 })
  log.fired(log.delayed({ delayMs: 1 }))
  const good = delays.encode()
  const newer = good.slice()
  newer[0] = 2
  assert.throws(
    () => delays.restore(newer),
    (error: unknown) => isMqError(error, 'newer_format'),
  )
  const twice = good.slice()
  twice.copyWithin(9 + 30, 9, 9 + 30)
  const endless = good.slice().fill(0xff, 1, 5)
  const bad = [
    good.subarray(0, -1),
    new Uint8Array(0),
    new Uint8Array([...good, 0]),
    twice,
    endless,
  ]
  for (const bytes of bad) assert.throws(() => delays.restore(bytes), AssertionError)
  assert.deepEqual(delays.encode(), good)
})

void test('a million pending messages, come and gone in any order, take at most 60 bytes each', () => {
  const { delays } = sample()
  const log = new WrittenLog()
  const pattern = log.append({
    kind: 'delayed',
    topic: 1,
    partition: 0,
    offset: offset(0),
    appendedAt: 1,
    deliverAt: 5,
  })
  const body = {
    kind: 'hold_changed',
    topic: 0,
    partition: 0,
    offset: offset(0),
    appendedAt: 1,
  } as const
  const times = new DataView(pattern.bytes.buffer)
  const million = 1_002_000
  const add = (index: number): void => {
    times.setUint32(96, (index * 2_654_435_761) >>> 0, true)
    writeU64(times, recordFields.position, index * 104)
    writeU64(times, recordFields.offset, held(index))
    delays.apply(pattern)
  }
  for (let index = 0; index < million; index += 1) add(index)
  assert.equal(delays.size, million)
  assert.ok(delays.bytes <= 60 * million && delays.bytes <= 64 * 2 ** 20, `${delays.bytes} bytes`)
  // Of three two go, in no order, and as many come. What is dead must not gather.
  let most = 0
  for (let third = 0; third < million / 3; third += 1_000) {
    const stay = Array.from({ length: 1_000 }, (_, index) => ((third + index) * 7) % (million / 3))
    const gone = stay.flatMap((index) => [held(index * 3), held(index * 3 + 1)])
    const value = encodeHoldChanges(gone.map((number) => ({ number, dueAt: undefined })))
    delays.apply(new WrittenLog().append({ ...body, value }))
    for (let more = 0; more < 2_000; more += 1) add(million + third * 2 + more)
    most = Math.max(most, delays.bytes / delays.size)
  }
  assert.equal(delays.size, million)
  assert.ok(most <= 60, `${most} bytes each`)
  const first = delays.due({ ...all, most: 10 }).map(({ dueAt }) => dueAt)
  assert.deepEqual(
    first,
    first.toSorted((a, b) => a - b),
  )
  for (let index = 0; index < 2_000; index += 1)
    assert.equal(delays.get(held(index)) === undefined, index % 3 < 2)
})
