import assert from 'node:assert/strict'
import { test } from 'node:test'
import { epoch, MqError, offset, partitionNumber, topicId } from '@popmq/protocol'
import { CommitQueue, type CommitRefusal } from './commit-queue.ts'
import type { CommitEntry } from './held-partition.ts'

function entry(partition: number, at: number, of = 1): CommitEntry {
  const place = { topicId: topicId(1), partition: partitionNumber(partition) }
  return { ...place, epoch: epoch(of), offset: offset(at) }
}

/** What calls were told: partition and error of each refusal. */
class Told {
  readonly all: string[] = []

  as(name: string): (refusals: readonly CommitRefusal[]) => void {
    return (refusals) => {
      const refused = refusals.map(
        ({ entry: { partition }, error }) => `${partition} ${error.name}`,
      )
      this.all.push([name, ...refused].join(': '))
    }
  }
}

const fenced = new MqError('grant_fenced', 'taken')

void test('one request at a time; what comes meanwhile shares the next, under the highest offset', () => {
  const queue = new CommitQueue()
  const told = new Told()
  queue.add([entry(0, 1)], told.as('a'))
  assert.deepEqual(queue.next(), [entry(0, 1)])
  queue.add([entry(0, 3), entry(1, 7)], told.as('b'))
  queue.add([entry(0, 2)], told.as('c'))
  assert.deepEqual(queue.next(), [])
  assert.deepEqual(queue.answered([]), [entry(0, 1)])
  assert.deepEqual(told.all, ['a'])
  assert.deepEqual(queue.next(), [entry(0, 3), entry(1, 7)])
  assert.equal(queue.isIdle, false)
  queue.answered([{ entry: entry(1, 7), error: fenced }])
  assert.deepEqual(told.all, ['a', 'c', 'b: 1 grant_fenced'])
  assert.equal(queue.isIdle, true)
})

void test('a lower offset than the one under way does not take progress back', () => {
  const queue = new CommitQueue()
  queue.add([entry(0, 5)], () => undefined)
  queue.next()
  queue.add([entry(0, 4)], () => undefined)
  queue.answered([])
  assert.deepEqual(queue.next(), [entry(0, 5)])
})

void test('a failed request fails its calls alone', () => {
  const queue = new CommitQueue()
  const told = new Told()
  queue.add([entry(0, 1), entry(1, 1)], told.as('a'))
  queue.next()
  queue.add([entry(0, 2)], told.as('b'))
  queue.failed(new MqError('unreachable', 'nobody'))
  assert.deepEqual(told.all, ['a: 0 unreachable: 1 unreachable'])
  assert.deepEqual(queue.next(), [entry(0, 2)])
  queue.answered([])
  assert.deepEqual(told.all.slice(1), ['b'])
})

void test('a partition waits under its newest grant only', () => {
  const queue = new CommitQueue()
  const told = new Told()
  queue.add([entry(0, 9, 1)], told.as('old'))
  queue.add([entry(0, 2, 2)], told.as('new'))
  queue.add([entry(0, 9, 1)], told.as('late'))
  assert.deepEqual(told.all, ['old: 0 grant_fenced', 'late: 0 grant_fenced'])
  assert.deepEqual(queue.next(), [entry(0, 2, 2)])
})

void test('what waits can be refused; what is under way is still answered', () => {
  const queue = new CommitQueue()
  const told = new Told()
  queue.add([entry(0, 1)], told.as('a'))
  queue.next()
  queue.add([entry(0, 2)], told.as('b'))
  queue.refuseWaiting(new MqError('member_unknown', 'over'))
  assert.deepEqual(told.all, ['b: 0 member_unknown'])
  queue.answered([])
  assert.deepEqual(told.all.at(-1), 'a')
})

void test('calls and requests are bounded, and nothing to commit is committed at once', () => {
  const queue = new CommitQueue()
  const told = new Told()
  queue.add([], told.as('nothing'))
  assert.deepEqual(told.all, ['nothing'])
  queue.add([entry(0, 1)], () => undefined)
  queue.next()
  for (let at = 2; at <= 10_000; at += 1) queue.add([entry(0, at)], () => undefined)
  queue.add([entry(0, 1)], told.as('beyond'))
  assert.equal(told.all.at(-1), 'beyond: 0 too_many_requests')
  queue.answered([])
  const many = Array.from({ length: 6_000 }, (_, at) => {
    return { ...entry(at % 1_000, 1), topicId: topicId(2 + Math.floor(at / 1_000)) }
  })
  queue.add(many, told.as('many'))
  assert.equal(queue.next().length, 5_000)
  queue.answered([])
  assert.equal(queue.next().length, 1_001)
  queue.answered([])
  assert.equal(told.all.at(-1), 'many')
})
