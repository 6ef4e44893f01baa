import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { epoch, groupId, partitionKey, partitionNumber, topicId } from '@popmq/protocol'
import { type GrantedRead, GrantFences } from './grant-fences.ts'

function read(group: number, at: [topic: number, partition: number], of: number): GrantedRead {
  const key = partitionKey(topicId(at[0]), partitionNumber(at[1]))
  return { groupId: groupId(group), key, epoch: epoch(of) }
}

void test('a grant older than the newest one seen is fenced, for its group and partition alone', () => {
  const fences = new GrantFences()
  assert.equal(fences.see(read(1, [1, 0], 5)), false, 'nobody was fenced by the first')
  assert.equal(fences.see(read(1, [1, 0], 7)), true)
  assert.equal(fences.see(read(1, [1, 0], 7)), false, 'the same again is no news')
  assert.equal(fences.see(read(1, [1, 0], 5)), false, 'an old one changes nothing')
  assert.equal(fences.isFenced(read(1, [1, 0], 5)), true)
  assert.equal(fences.isFenced(read(1, [1, 0], 7)), false)
  assert.equal(fences.isFenced(read(1, [1, 0], 8)), false)
  assert.equal(fences.isFenced(read(1, [1, 1], 5)), false)
  assert.equal(fences.isFenced(read(1, [2, 0], 5)), false)
  assert.equal(fences.isFenced(read(2, [1, 0], 5)), false)
})

void test('what is known of a topic goes with it', () => {
  const fences = new GrantFences()
  for (const topic of [1, 2]) for (const group of [1, 2]) fences.see(read(group, [topic, 3], 9))
  fences.forgetTopic(topicId(1))
  assert.equal(fences.size, 2)
  assert.equal(fences.isFenced(read(1, [1, 3], 8)), false)
  assert.equal(fences.isFenced(read(1, [2, 3], 8)), true)
})

void test('beyond the bound the groups that were not heard of for the longest time go', () => {
  const fences = new GrantFences({ mostEntries: 4 })
  for (const group of [1, 2]) for (const at of [0, 1]) fences.see(read(group, [1, at], 5))
  fences.see(read(1, [1, 0], 5))
  fences.see(read(3, [1, 0], 5))
  assert.equal(fences.size, 3)
  assert.deepEqual(
    [1, 2, 3].map((group) => fences.isFenced(read(group, [1, 0], 4))),
    [true, false, true],
  )
})

void test('a group that alone is beyond the bound forgets what it named first', () => {
  const fences = new GrantFences({ mostEntries: 3 })
  for (const at of [0, 1, 2, 3, 4]) fences.see(read(1, [1, at], 5))
  assert.equal(fences.size, 3)
  assert.deepEqual(
    [0, 1, 2, 3, 4].map((at) => fences.isFenced(read(1, [1, at], 4))),
    [false, false, true, true, true],
  )
})

void test('it agrees with a plain map while nothing has to be forgotten, and never fences the newest grant', () => {
  const step = fc.record({
    kind: fc.constantFrom('see', 'see', 'see', 'forget'),
    group: fc.integer({ min: 1, max: 3 }),
    topic: fc.integer({ min: 1, max: 3 }),
    partition: fc.integer({ min: 0, max: 2 }),
    epoch: fc.integer({ min: 1, max: 9 }),
  })
  const property = fc.property(
    fc.array(step, { maxLength: 60 }),
    fc.boolean(),
    (steps, isTight) => {
      const mostEntries = isTight ? 5 : 1_000
      const fences = new GrantFences({ mostEntries })
      const newest = new Map<string, number>()
      for (const { kind, group, topic, partition, epoch: of } of steps) {
        const asked = read(group, [topic, partition], of)
        const name = `${group}/${topic}/${partition}`
        if (kind === 'forget') {
          fences.forgetTopic(topicId(topic))
          for (const known of [...newest.keys()])
            if (known.split('/')[1] === String(topic)) newest.delete(known)
          continue
        }
        fences.see(asked)
        newest.set(name, Math.max(of, newest.get(name) ?? 0))
        const isOld = of < (newest.get(name) ?? 0)
        if (fences.isFenced(asked)) assert.ok(isOld, 'only an older grant is fenced')
        else assert.ok(isTight || !isOld, 'an older grant is fenced')
        assert.ok(fences.size <= mostEntries)
        if (!isTight) assert.equal(fences.size, newest.size)
      }
    },
  )
  assert.doesNotThrow(() => fc.assert(property, { numRuns: 300 }))
})
