import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AssertionError } from '@popmq/kit'
import {
  firstHeldNumber,
  heldKey,
  isMqError,
  type Offset,
  offset,
  partitionKey,
  partitionNumber,
  topicId,
} from '@popmq/protocol'
import type { PartitionKey } from '@popmq/protocol'
import fc from 'fast-check'
import { NextOffsets } from './next-offsets.ts'
import { WrittenLog } from './testing/written-log.ts'

const held = (index: number): Offset => offset(firstHeldNumber + index)
const keyOf = (topic: number, partition: number): PartitionKey =>
  partitionKey(topicId(topic), partitionNumber(partition))

void test('offsets are dense from 0, each partition by itself', () => {
  const offsets = new NextOffsets()
  assert.equal(offsets.next(keyOf(1, 0)), 0)
  assert.equal(offsets.take(keyOf(1, 0), 3), 0)
  assert.equal(offsets.take(keyOf(1, 0), 1), 3)
  assert.equal(offsets.take(keyOf(1, 1), 1), 0)
  assert.equal(offsets.next(keyOf(1, 0)), 4)
})

void test('a next offset is raised and never lowered', () => {
  const offsets = new NextOffsets()
  offsets.raise(keyOf(1, 0), offset(10))
  offsets.raise(keyOf(1, 0), offset(4))
  assert.equal(offsets.take(keyOf(1, 0), 1), 10)
  assert.throws(() => offsets.take(keyOf(1, 0), 0), AssertionError)
})

void test('a record that cleaning moved, or that is not a message, does not move the next offset', () => {
  const log = new WrittenLog()
  const first = log.append({ topic: 1, partition: 0, offset: offset(0), appendedAt: 1 })
  log.append({ topic: 1, partition: 0, offset: offset(1), appendedAt: 1 })
  log.append({ kind: 'horizon', topic: 1, partition: 0, offset: offset(99), appendedAt: 1 })
  log.move(first)
  const offsets = new NextOffsets()
  log.replay(offsets)
  assert.equal(offsets.next(keyOf(1, 0)), 2)
})

void test('held records are counted together, from their own first number on, and are no partition', () => {
  const log = new WrittenLog()
  const offsets = new NextOffsets()
  assert.equal(offsets.next(heldKey), firstHeldNumber)
  assert.deepEqual([offsets.take(heldKey, 2), offsets.take(heldKey, 1)], [held(0), held(2)])
  const retry = { kind: 'retry', topic: 1, partition: 0, offset: held(3), appendedAt: 1 } as const
  log.append(retry)
  const delayed = log.append({ ...retry, kind: 'delayed', topic: 2, offset: held(4) })
  log.append({ ...retry, kind: 'dead', topic: 9, partition: 1, offset: offset(6) })
  log.append({ kind: 'topic_gone', topic: 1, partition: 0, offset: offset(0), appendedAt: 1 })
  log.move(delayed)
  log.replay(offsets)
  const later = new NextOffsets()
  later.restore(offsets.encode())
  for (const known of [offsets, later]) {
    assert.equal(known.next(heldKey), held(5))
    assert.deepEqual([...known.partitions()], [{ key: keyOf(9, 1), next: 7 }])
  }
})

const place = { topic: fc.integer({ min: 1, max: 3 }), partition: fc.integer({ min: 0, max: 2 }) }
const command = fc.oneof(
  fc.record({ do: fc.constant('take'), ...place, count: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ do: fc.constant('move'), index: fc.nat(20) }),
  fc.record({ do: fc.constant('delete'), topic: place.topic }),
  fc.constant({ do: 'snapshot' } as const),
  fc.record({ do: fc.constant('recover'), cut: fc.nat(5) }),
)

void test('after any snapshot, restart and truncation the next offsets are those of the log', () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 60, size: 'max' }), (commands) => {
      const log = new WrittenLog()
      const live = new NextOffsets()
      // The plain model: per record of the log, what the next offsets were behind it.
      const after: Map<PartitionKey, number>[] = [new Map()]
      let snapshot = { bytes: live.encode(), size: 0 }
      const step = (change: (next: Map<PartitionKey, number>) => void): void => {
        const next = new Map(after.at(-1))
        change(next)
        after.push(next)
      }
      for (const next of commands) {
        if ('count' in next) {
          const key = keyOf(next.topic, next.partition)
          const base = live.take(key, next.count)
          assert.equal(base, after.at(-1)?.get(key) ?? 0)
          for (let index = 0; index < next.count; index += 1) {
            log.append({ ...next, offset: offset(base + index), appendedAt: 1 })
            step((offsets) => offsets.set(key, base + index + 1))
          }
        } else if ('index' in next) {
          const record = log.at(next.index)
          if (
            record === undefined ||
            record.kind !== 1 ||
            !after.at(-1)?.has(keyOf(record.topicId, record.partition))
          )
            continue
          log.move(record)
          step(() => undefined)
        } else if ('topic' in next) {
          live.forgetTopic(topicId(next.topic))
          log.append({
            kind: 'topic_gone',
            topic: next.topic,
            partition: 0,
            offset: offset(0),
            appendedAt: 1,
          })
          step((offsets) =>
            [0, 1, 2].forEach((partition) => offsets.delete(keyOf(next.topic, partition))),
          )
        } else if ('cut' in next) {
          const size = Math.max(snapshot.size, log.size - next.cut)
          log.cut(size)
          after.splice(size + 1)
          live.restore(snapshot.bytes)
          log.replay(live, snapshot.size)
        } else snapshot = { bytes: live.encode(), size: log.size }
        const held = new Map([...live.partitions()].map((entry) => [entry.key, Number(entry.next)]))
        assert.deepEqual(held, after.at(-1))
      }
    }),
  )
})

void test('a snapshot does not depend on the order in which partitions came', () => {
  const [one, other] = [new NextOffsets(), new NextOffsets()]
  for (const topic of [5, 1, 4_294_967_295]) one.take(keyOf(topic, 1_023), topic)
  for (const topic of [4_294_967_295, 5, 1]) other.take(keyOf(topic, 1_023), topic)
  assert.deepEqual(one.encode(), other.encode())
})

void test('a malformed snapshot is refused and changes nothing', () => {
  const offsets = new NextOffsets()
  offsets.take(keyOf(1, 0), 7)
  offsets.take(keyOf(2, 0), 7)
  const good = offsets.encode()
  const newer = good.slice()
  newer[0] = 2
  assert.throws(
    () => offsets.restore(newer),
    (error: unknown) => isMqError(error, 'newer_format'),
  )
  const twice = good.slice()
  twice.copyWithin(5 + 14, 5, 5 + 14)
  const endless = good.slice().fill(0xff, 1, 5)
  for (const bad of [
    good.subarray(0, -1),
    new Uint8Array(0),
    new Uint8Array([...good, 0]),
    twice,
    endless,
  ]) {
    assert.throws(() => offsets.restore(bad), AssertionError)
  }
  assert.deepEqual(offsets.encode(), good)
})
