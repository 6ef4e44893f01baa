import { readFileSync } from 'node:fs'
import { assert } from '@popmq/kit'
import { SeededRandom } from '@popmq/kit/testing'

/** One commit of the stream; `author` is the key. About 200 bytes as JSON. */
export interface CommitEvent {
  readonly repo: string
  readonly id: string
  readonly author: string
  /** Ms since 1970. */
  readonly at: number
  readonly title: string
  readonly files: number
  readonly added: number
  readonly removed: number
}

/** As in the commits of large open-source projects: a few authors write most, many write once. */
const shape = { events: 21_436, keys: 875, headKeys: 5, headShare: 0.47 }
const headWeights = [34, 24, 17, 14, 11]

/** The same events for the same seed: 21,436 of 875 keys, five of which make 47 %, in a random order. */
export function skewedEvents(seed: number): CommitEvent[] {
  const random = new SeededRandom(seed)
  const authors = authorsInOrder(random)
  let at = 1_368_596_727_000
  return authors.map((author, index) => {
    at += Math.floor(random.next() * 600_000)
    return {
      repo: `project-${Math.floor(random.next() * 9)}`,
      // The index makes it unique.
      id: index.toString(16).padStart(5, '0') + word(random, 5),
      author,
      at,
      title: title(random),
      files: 1 + Math.floor(random.next() * 40),
      added: Math.floor(random.next() * 9_000),
      removed: Math.floor(random.next() * 3_000),
    }
  })
}

/** The events of the file that `E2E_EVENTS` names, each with `id` and `author`; without it generated ones. */
export function streamedEvents(seed: number): CommitEvent[] {
  const file = process.env['E2E_EVENTS']
  if (file === undefined) return skewedEvents(seed)
  const lines = readFileSync(file, 'utf8').split('\n')
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as CommitEvent)
}

export function asNdjson(events: readonly CommitEvent[]): string {
  return events.map((event) => `${JSON.stringify(event)}\n`).join('')
}

function authorsInOrder(random: SeededRandom): string[] {
  const names = new Set<string>()
  while (names.size < shape.keys) names.add(word(random, 10))
  const counts = keyCounts()
  const authors = [...names].flatMap((name, index) =>
    Array.from({ length: counts[index] ?? 0 }, () => name),
  )
  for (let last = authors.length - 1; last > 0; last -= 1) {
    const other = Math.floor(random.next() * (last + 1))
    const [a, b] = [authors[last] ?? '', authors[other] ?? '']
    authors[last] = b
    authors[other] = a
  }
  return authors
}

/** How often each key occurs: the head by its weights, the rest falling like 1/rank, each at least once. */
function keyCounts(): number[] {
  const headEvents = Math.round(shape.events * shape.headShare)
  const head = share(headEvents, headWeights)
  const tailKeys = shape.keys - shape.headKeys
  const weights = Array.from({ length: tailKeys }, (_, rank) => 1 / (rank + 20))
  const tail = share(shape.events - headEvents - tailKeys, weights).map((count) => count + 1)
  const counts = [...head, ...tail]
  assert(counts.reduce((sum, count) => sum + count, 0) === shape.events, 'every event has a key')
  return counts
}

/** Splits `total` by weights into whole numbers that add up to it. */
function share(total: number, weights: readonly number[]): number[] {
  const sum = weights.reduce((all, weight) => all + weight, 0)
  let weightSoFar = 0
  let givenSoFar = 0
  return weights.map((weight) => {
    weightSoFar += weight
    const count = Math.round((total * weightSoFar) / sum) - givenSoFar
    givenSoFar += count
    return count
  })
}

const verbs = ['fix', 'add', 'remove', 'rename', 'document', 'speed up', 'simplify', 'test']
const nouns = [
  'the commit log',
  'a flaky test',
  'the retry policy',
  'über-long lines',
  'the "quoted" path',
  'メッセージ',
]

function title(random: SeededRandom): string {
  const pick = (list: readonly string[]): string =>
    list[Math.floor(random.next() * list.length)] ?? ''
  return `${pick(verbs)} ${pick(nouns)} (${word(random, 8)})`
}

function word(random: SeededRandom, digits: number): string {
  return Array.from({ length: digits }, () => Math.floor(random.next() * 16).toString(16)).join('')
}
