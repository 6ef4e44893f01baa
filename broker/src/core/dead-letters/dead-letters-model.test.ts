import assert from 'node:assert/strict'
import { test } from 'node:test'
import { groupId, offset, partitionKey, partitionNumber, topicId } from '@popmq/protocol'
import fc from 'fast-check'
import { DeadLetters } from './dead-letters.ts'
import { deadKey, deadTopic, LetterLog } from './testing/letter-log.ts'
import { PlainLetters } from './testing/plain-letters.ts'

/** Two groups that read two partitions of one topic and one of another. */
const groups = [1, 2]
const keys = [
  [1, 0],
  [1, 1],
  [2, 0],
].map(([topic = 0, partition = 0]) => partitionKey(topicId(topic), partitionNumber(partition)))
const most = 3

/** The view and the model side by side, under the same records. */
class Pair {
  readonly log = new LetterLog()
  letters = new DeadLetters(most)
  readonly plain = new Map<number, PlainLetters>()
  readonly lows = new Map<number, number>()
  #timeMs = 1_000

  die(group: number, place: { key: number; at: number; print: number; bornAt: number }): void {
    this.#timeMs += 10
    const key = keys[place.key] ?? keys[0]
    assert.ok(key !== undefined)
    const error = { type: 'Error', message: `error ${place.print} of ${this.#timeMs}` }
    // What dies is at least kept by its partition.
    const at = (this.lows.get(key) ?? 0) + place.at
    const told = { key, offset: at, fingerprint: place.print, error, diedAt: this.#timeMs }
    const died = { group, ...told, firstAppendedAt: place.bornAt }
    const letter = this.log.next(group)
    this.letters.apply(this.log.dead(died))
    const plain = this.plain.get(group) ?? new PlainLetters(most)
    this.plain.set(group, plain)
    plain.died(letter, died)
  }

  change(group: number, from: number, to: 'open' | 'discarded'): void {
    const letters = [from, from + 1, from + 3]
    this.letters.apply(this.log.changed(group, to, letters))
    this.plain.get(group)?.change(letters, to)
  }

  expire(group: number, by: number): void {
    const { low = 0, high = 0 } = this.letters.find(groupId(group)) ?? {}
    const next = Math.min(high, low + by)
    this.letters.apply(this.log.horizon(deadKey(group), next))
    this.plain.get(group)?.expireBelow(next)
  }

  originHorizon(place: number, by: number): void {
    const key = keys[place] ?? keys[0]
    assert.ok(key !== undefined)
    const low = (this.lows.get(key) ?? 0) + by
    this.lows.set(key, low)
    this.letters.apply(this.log.horizon(key, low))
  }

  reset(group: number, place: number, above: number): void {
    const key = keys[place] ?? keys[0]
    assert.ok(key !== undefined)
    const from = (this.lows.get(key) ?? 0) + above
    this.letters.reopen(groupId(group), key, offset(from))
    this.plain.get(group)?.reopen(key, from)
  }

  topicGone(topic: number): void {
    this.letters.apply(this.log.topicGone(topic))
    for (const plain of this.plain.values()) plain.topicGone(topic)
  }

  groupGone(group: number, isTopic: boolean): void {
    this.letters.apply(isTopic ? this.log.topicGone(deadTopic(group)) : this.log.groupGone(group))
    this.plain.delete(group)
  }

  restart(): void {
    const bytes = this.letters.encode()
    this.letters = new DeadLetters(most)
    this.letters.restore(bytes)
    assert.deepEqual([...this.letters.encode()], [...bytes])
  }

  check(): void {
    for (const group of groups) {
      const found = this.letters.find(groupId(group))
      const plain = this.plain.get(group)
      assert.equal(found === undefined, plain === undefined)
      if (found === undefined || plain === undefined) continue
      const states = []
      for (let at: number = found.low; at < found.high; at += 1)
        states.push([at, found.state(offset(at))])
      assert.deepEqual(states, plain.states())
      const places = found.places()
      for (const key of keys) {
        const { open = 0, left = 0, oldestOpen } = places.find((each) => each.key === key) ?? {}
        const { firstAppendedAt, diedAt } = oldestOpen ?? {}
        assert.deepEqual([open, left, firstAppendedAt, diedAt], plain.place(key))
        assert.deepEqual(found.counts(key), { open, left })
      }
      const told = found.summaries.all().map(({ errorType: _type, ...each }) => each)
      assert.deepEqual(sortedByPrint(told), sortedByPrint(plain.summaries()))
    }
  }
}

function sortedByPrint(all: readonly unknown[]): unknown[] {
  const print = (each: unknown): number => (each as { fingerprint: number }).fingerprint
  return all.toSorted((a, b) => print(a) - print(b))
}

type Step = (pair: Pair) => void

const group = fc.constantFrom(...groups)
const place = fc.nat(keys.length - 1)
const small = fc.nat(8)
const died = fc.record({
  key: place,
  at: small,
  print: fc.integer({ min: 1, max: 6 }),
  bornAt: fc.integer({ min: 1, max: 50 }),
})

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.tuple(group, died).map(
      ([g, d]): Step =>
        (pair) =>
          pair.die(g, d),
    ),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(group, fc.nat(20), fc.constantFrom('open' as const, 'discarded' as const))
      .map(
        ([g, from, to]): Step =>
          (pair) =>
            pair.change(g, from, to),
      ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(group, small).map(
      ([g, by]): Step =>
        (pair) =>
          pair.expire(g, by),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(place, small).map(
      ([p, by]): Step =>
        (pair) =>
          pair.originHorizon(p, by),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(group, place, small).map(
      ([g, p, a]): Step =>
        (pair) =>
          pair.reset(g, p, a),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(1, 2).map(
      (topic): Step =>
        (pair) =>
          pair.topicGone(topic),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(group, fc.boolean()).map(
      ([g, t]): Step =>
        (pair) =>
          pair.groupGone(g, t),
    ),
  },
  { weight: 2, arbitrary: fc.constant<Step>((pair) => pair.restart()) },
)

void test('the dead letters are what a plain model says, from a snapshot at any point too', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const pair = new Pair()
      for (const take of steps) {
        take(pair)
        pair.check()
      }
    }),
    { numRuns: 250 },
  )
})

void test('many letters of one group are as the model says over page boundaries', () => {
  const pair = new Pair()
  for (let index = 0; index < 700; index += 1)
    pair.die(1, {
      key: index % 3,
      at: index,
      print: 1 + (index % 4),
      bornAt: 1 + ((index * 7) % 97),
    })
  pair.change(1, 126, 'discarded')
  pair.expire(1, 127)
  pair.restart()
  pair.expire(1, 1)
  pair.reset(1, 0, 300)
  pair.expire(1, 300)
  pair.restart()
  pair.check()
  assert.equal(pair.letters.find(groupId(1))?.low, 428)
})
