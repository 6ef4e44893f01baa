import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Candidate, placePartitions } from './placement.ts'

const candidates = fc.uniqueArray(
  fc.record({ id: fc.integer({ min: 1, max: 50 }), load: fc.integer({ min: 0, max: 40 }) }),
  {
    minLength: 1,
    maxLength: 8,
    selector: ({ id }) => id,
  },
)
const count = fc.integer({ min: 1, max: 64 })

const spread = (numbers: readonly number[]): number => Math.max(...numbers) - Math.min(...numbers)
const countOf = (placed: readonly number[], { id }: Candidate): number =>
  placed.filter((set) => set === id).length

void test('a topic is spread evenly over the sets, and the same each time', () => {
  fc.assert(
    fc.property(candidates, count, (sets, partitions) => {
      const placed = placePartitions(partitions, sets)
      assert.equal(placed.length, partitions)
      assert.ok(spread(sets.map((set) => countOf(placed, set))) <= 1)
      assert.deepEqual(placePartitions(partitions, sets.toReversed()), placed)
    }),
  )
})

void test('the less loaded sets get the partitions that do not divide evenly', () => {
  assert.deepEqual(
    placePartitions(1, [
      { id: 1, load: 5 },
      { id: 2, load: 3 },
      { id: 3, load: 3 },
    ]),
    [2],
  )
  assert.deepEqual(
    placePartitions(4, [
      { id: 1, load: 0 },
      { id: 2, load: 9 },
      { id: 3, load: 1 },
    ]),
    [1, 3, 2, 1],
  )
})

void test('many small topics leave the sets evenly loaded', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 60 }),
      fc.integer({ min: 1, max: 6 }),
      (topics, sets) => {
        const loads = Array.from({ length: sets }, (_, index) => ({ id: index + 1, load: 0 }))
        for (const partitions of topics) {
          for (const set of placePartitions(partitions, loads)) {
            const chosen = loads.find(({ id }) => id === set)
            if (chosen !== undefined) chosen.load += 1
          }
        }
        assert.ok(spread(loads.map(({ load }) => load)) <= 1)
      },
    ),
  )
})

void test('partitions added later even a topic out where sets came in between', () => {
  const placed = placePartitions(
    4,
    [
      { id: 1, load: 4 },
      { id: 2, load: 0 },
      { id: 3, load: 0 },
    ],
    [1, 1, 1, 1],
  )
  assert.deepEqual(placed, [2, 3, 2, 3])
})
