import assert from 'node:assert/strict'
import { test } from 'node:test'
import { present } from '@popmq/kit'
import { type Bounds, Ledger, type Place } from './ledger.ts'
import { type ProblemKind, Problems, promises } from './problems.ts'
import type { MessageName } from './sent-message.ts'

const partitions = 2

/** Two producers; of the first, messages 0 to 3 are acknowledged and read at partition 0. */
function given() {
  const problems = new Problems()
  const ledger = new Ledger({ producers: 2, partitions, problems })
  const names = Array.from({ length: 4 }, () => ledger.sending(0))
  const name = (number: number): MessageName => present(names[number], 'it was sent')
  const finish = (low = 0, seen: readonly number[] = [0, 1, 2, 3]): ProblemKind[] => {
    for (const number of seen) if (number >= low) ledger.sawLast(name(number), at(number))
    ledger.finish(bounds(low))
    const kinds = Object.keys(promises) as ProblemKind[]
    return kinds.filter((kind) => problems.of(kind).count > 0)
  }
  const go = (numbers: readonly number[] = [0, 1, 2, 3]): void => {
    for (const number of numbers) {
      ledger.acked(name(number), at(number))
      ledger.saw('a reader', name(number), at(number))
    }
  }
  return { ledger, name, finish, go }
}

function at(offset: number, partition = 0): Place {
  return { partition, offset }
}

function bounds(low: number): Bounds[] {
  return [
    { partition: 0, low, high: 4 },
    { partition: 1, low: 0, high: 0 },
  ]
}

// Keys of one producer may lie in two partitions; these four share one.
void test('a history without a fault has no problem', () => {
  const { finish, go } = given()
  go()
  assert.deepEqual(finish(), [])
})

void test('what was acknowledged and is gone is lost', () => {
  const { finish, go } = given()
  go()
  assert.deepEqual(finish(0, [0, 1, 3]), ['lost'])
})

void test('what was read and is gone is lost, though nobody acknowledged it', () => {
  const { ledger, name, finish, go } = given()
  go([0, 1, 2])
  ledger.saw('a reader', name(3), at(3))
  ledger.failed(name(3), 'unknown')
  assert.deepEqual(finish(0, [0, 1, 2]), ['lost', 'sender'])
})

void test('what was purged is not lost', () => {
  const { ledger, finish, go } = given()
  go()
  ledger.purging(0, 2)
  assert.deepEqual(finish(2), [])
})

void test('a low offset above or below what was purged is a problem', () => {
  const above = given()
  above.go()
  above.ledger.purging(0, 1)
  assert.deepEqual(above.finish(2), ['purge'])
  const below = given()
  below.go()
  below.ledger.purging(0, 2)
  assert.deepEqual(below.finish(1), ['purge'])
})

void test('what was acknowledged, purged and never read is unseen', () => {
  const { ledger, name, finish, go } = given()
  go([1, 2, 3])
  ledger.acked(name(0), at(0))
  ledger.purging(0, 1)
  assert.deepEqual(finish(1), ['unseen'])
})

void test('a message at two places is a duplicate', () => {
  const { ledger, name, finish, go } = given()
  go()
  ledger.saw('a reader', name(1), at(9))
  assert.deepEqual(finish(), ['duplicate'])
})

void test('an offset with two messages is reused', () => {
  const { ledger, finish, go } = given()
  go()
  const other = ledger.sending(1)
  ledger.failed(other, 'unknown')
  ledger.saw('a reader', other, at(2))
  assert.ok(finish().includes('reuse'))
})

void test('a receipt that names another place is untrue, whichever came first', () => {
  for (const isSeenFirst of [true, false]) {
    const { ledger, name, finish, go } = given()
    go([0, 1, 2])
    if (isSeenFirst) ledger.saw('a reader', name(3), at(3))
    ledger.acked(name(3), at(2))
    assert.ok(finish().includes('receipt'))
  }
})

void test('a key in two partitions is out of order', () => {
  const { ledger, name, finish, go } = given()
  go()
  ledger.saw('a reader', name(0), at(0, 1))
  assert.ok(finish().includes('disorder'))
})

void test('a message that was never sent is alien', () => {
  const { ledger, finish, go } = given()
  go()
  ledger.saw('a reader', { producer: 0, number: 4 }, at(7))
  ledger.saw('a reader', { producer: 2, number: 0 }, at(8))
  assert.deepEqual(finish(), ['alien'])
})

void test('a refused message that is read is told', () => {
  const { ledger, name, finish, go } = given()
  go([0, 1, 2])
  ledger.failed(name(3), 'refused')
  assert.deepEqual(finish(), ['refused', 'sender'])
})
