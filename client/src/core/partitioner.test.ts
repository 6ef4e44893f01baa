import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SeededRandom } from '@popmq/kit/testing'
import { hash32, prepareMessage } from '@popmq/protocol'
import { Partitioner } from './partitioner.ts'

const partitioner = (): Partitioner => new Partitioner('orders', new SeededRandom(1))

void test('a key decides by its hash alone, whatever else is sent between', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }),
      fc.integer({ min: 1, max: 1_024 }),
      (key, partitions) => {
        const expected = hash32(new TextEncoder().encode(key)) % partitions
        const message = prepareMessage({ key, dedupId: 'd' }, 1)
        assert.equal(partitioner().choose(message, partitions, undefined), expected)
      },
    ),
  )
})

void test('a dedup id decides where there is no key', () => {
  const message = prepareMessage({ dedupId: 'd-1' }, 1)
  const expected = hash32(new TextEncoder().encode('d-1')) % 7
  assert.equal(partitioner().choose(message, 7, undefined), expected)
})

void test('messages without either stay where they are until the turn passes, and then visit all', () => {
  const turns = partitioner()
  const message = prepareMessage({}, 1)
  const visited = new Set<number>()
  for (let turn = 0; turn < 5; turn += 1) {
    const chosen = turns.choose(message, 5, undefined)
    assert.equal(turns.choose(message, 5, undefined), chosen)
    visited.add(chosen)
    turns.nextTurn(chosen, 5)
  }
  assert.equal(visited.size, 5)
})

void test('a batch of another partition does not pass the turn', () => {
  const turns = partitioner()
  const message = prepareMessage({}, 1)
  const chosen = turns.choose(message, 5, undefined)
  turns.nextTurn((chosen + 1) % 5, 5)
  assert.equal(turns.choose(message, 5, undefined), chosen)
})

void test('a partition that does not exist is refused by name', () => {
  const message = prepareMessage({}, 1)
  for (const named of [-1, 5]) {
    assert.throws(() => partitioner().choose(message, 5, named), { name: 'partition_not_found' })
  }
  for (const named of [1.5, Number.NaN]) {
    assert.throws(() => partitioner().choose(message, 5, named), { name: 'invalid_request' })
  }
})
