import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { topicId, type TopicId } from '@popmq/protocol'
import type { AssignorInput, AssignorMember, Placement } from './assignor.ts'
import { assignors } from './assignors.ts'
import { failover } from './failover.ts'
import { range } from './range.ts'
import { roundRobin } from './round-robin.ts'
import { sticky } from './sticky.ts'

const ids = [1, 2, 3, 4].map(topicId)
const runs = { numRuns: 200 }

const topics = fc
  .uniqueArray(fc.constantFrom(...ids), { minLength: 1 })
  .chain((chosen) =>
    fc.tuple(
      ...chosen
        .toSorted((a, b) => a - b)
        .map((id) =>
          fc.record({ topicId: fc.constant(id), partitions: fc.integer({ min: 1, max: 40 }) }),
        ),
    ),
  )

const members = fc
  .array(fc.subarray(ids, { minLength: 1 }), { maxLength: 12 })
  .map((lists) => lists.map((list, at): AssignorMember => ({ memberId: `m${at}`, topics: list })))

/** Members and topics, with some partitions held by whoever, gone members too. */
const inputs: fc.Arbitrary<AssignorInput> = fc
  .record({ members, topics, seed: fc.array(fc.integer({ min: 0, max: 14 }), { maxLength: 200 }) })
  .map(({ members: all, topics: shared, seed }) => {
    const partitions = shared.flatMap(({ topicId: id, partitions: count }) =>
      Array.from({ length: count }, (_, partition) => ({ topicId: id, partition })),
    )
    const held = partitions.flatMap((each, at): Placement[] => {
      const owner = seed[at % Math.max(1, seed.length)]
      return owner === undefined || owner > 12 ? [] : [{ ...each, memberId: `m${owner}` }]
    })
    return { members: all, topics: shared, held }
  })

const keyOf = ({ topicId: id, partition }: Placement): string => `${id}/${partition}`

function checkWhole(
  { members: all, topics: shared }: AssignorInput,
  result: readonly Placement[],
): void {
  const readers = (id: TopicId): string[] =>
    all.filter((member) => member.topics.includes(id)).map(({ memberId }) => memberId)
  assert.equal(new Set(result.map(keyOf)).size, result.length, 'each partition is given once')
  let wanted = 0
  for (const { topicId: id, partitions } of shared) if (readers(id).length > 0) wanted += partitions
  assert.equal(result.length, wanted, 'each partition that somebody reads is given')
  for (const { topicId: id, memberId } of result)
    assert.ok(readers(id).includes(memberId), 'it is given to a member that reads it')
}

function loads(all: readonly AssignorMember[], result: readonly Placement[]): Map<string, number> {
  const counts = new Map(all.map(({ memberId }) => [memberId, 0]))
  for (const { memberId } of result) counts.set(memberId, (counts.get(memberId) ?? 0) + 1)
  return counts
}

for (const [name, assign] of assignors) {
  void test(`${name} gives every partition that is read once, to a reader, and always the same`, () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const result = assign(input)
        checkWhole(input, result)
        assert.deepEqual(assign(structuredClone(input)), result)
      }),
      runs,
    )
  })
}

void test('under sticky, members with the same topics differ by one partition at most', () => {
  fc.assert(
    fc.property(inputs, (input) => {
      const counts = loads(input.members, sticky(input))
      const classes = new Map<string, number[]>()
      for (const { memberId, topics: read } of input.members) {
        const key = read.join()
        classes.set(key, [...(classes.get(key) ?? []), counts.get(memberId) ?? 0])
      }
      for (const same of classes.values()) assert.ok(Math.max(...same) - Math.min(...same) <= 1)
    }),
    runs,
  )
})

void test('sticky changes nothing where nothing needs to change', () => {
  fc.assert(
    fc.property(inputs, (input) => {
      const first = sticky(input)
      const again = sticky({ ...input, held: first })
      assert.deepEqual(again.map(place).toSorted(), first.map(place).toSorted())
    }),
    runs,
  )
})

const place = (each: Placement): string => `${keyOf(each)}=${each.memberId}`

void test('k changes of members together move at most k·⌈P/N⌉ partitions under sticky', () => {
  const change = fc.record({
    partitions: fc.integer({ min: 1, max: 300 }),
    before: fc.integer({ min: 1, max: 20 }),
    left: fc.integer({ min: 0, max: 19 }),
    joined: fc.integer({ min: 0, max: 8 }),
  })
  fc.assert(
    fc.property(change, ({ partitions, before, left, joined }) => {
      const gone = Math.min(left, before - 1)
      const member = (at: number): AssignorMember => ({ memberId: `m${at}`, topics: [topicId(1)] })
      const shared = [{ topicId: topicId(1), partitions }]
      const old = Array.from({ length: before }, (_, at) => member(at))
      const held = sticky({ members: old, topics: shared, held: [] })
      const now = [
        ...old.slice(gone),
        ...Array.from({ length: joined }, (_, at) => member(100 + at)),
      ]
      const then = new Map(held.map((each) => [keyOf(each), each.memberId]))
      const moves = sticky({ members: now, topics: shared, held }).filter(
        (each) => then.get(keyOf(each)) !== each.memberId,
      )
      const fewest = Math.min(before, now.length)
      assert.ok(moves.length <= (gone + joined) * Math.ceil(partitions / fewest))
      // What stays with those who stayed and did not have too much is not touched.
      const most = Math.ceil(partitions / now.length)
      const kept = loads(
        old.slice(gone),
        held.filter(({ memberId }) => now.some((m) => m.memberId === memberId)),
      )
      const orphans = held.filter(({ memberId }) => !kept.has(memberId)).length
      const excess = [...kept.values()].reduce(
        (sum, count) => sum + Math.max(0, count - Math.floor(partitions / now.length)),
        0,
      )
      assert.ok(moves.length <= orphans + excess, `${moves.length} moves with at most ${most} each`)
    }),
    runs,
  )
})

const three = ['a', 'b', 'c'].map((memberId): AssignorMember => ({
  memberId,
  topics: [topicId(1)],
}))
const seven = [{ topicId: topicId(1), partitions: 7 }]
const ownersOf = (result: readonly Placement[]): string =>
  result
    .toSorted((a, b) => a.partition - b.partition)
    .map(({ memberId }) => memberId)
    .join('')

void test('round-robin deals in turn, range cuts runs, failover gives all to the oldest', () => {
  const input = { members: three, topics: seven, held: [] }
  assert.equal(ownersOf(roundRobin(input)), 'abcabca')
  assert.equal(ownersOf(range(input)), 'aaabbcc')
  assert.equal(ownersOf(failover(input)), 'aaaaaaa')
})

void test('a thousand members share four topics of 1,024 partitions evenly', () => {
  const many = Array.from({ length: 1_000 }, (_, at): AssignorMember => ({
    memberId: `m${at}`,
    topics: [...ids],
  }))
  const shared = ids.map((id) => ({ topicId: id, partitions: 1_024 }))
  const counts = [...loads(many, sticky({ members: many, topics: shared, held: [] })).values()]
  assert.deepEqual([Math.min(...counts), Math.max(...counts)], [4, 5])
})
