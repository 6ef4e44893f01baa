import assert from 'node:assert/strict'
import { test } from 'node:test'
import { History, type Sighting } from './history.ts'

function sightings(...words: string[]): Sighting[] {
  return words.map((word) => {
    const [, id = '', key, partition, offset] = /^(\w+?)(?:\/(\w+))?=(\d+)@(\d+)$/.exec(word) ?? []
    return { id, key: key ?? null, partition: Number(partition), offset: Number(offset) }
  })
}

/** A history with a…e sent, the first two with key k, and a…d acknowledged. */
function sample(): History {
  const history = new History()
  for (const id of ['a', 'b']) history.sent(id, 'k')
  for (const id of ['c', 'd', 'e']) history.sent(id)
  for (const id of ['a', 'b', 'c', 'd']) history.acked(id)
  return history
}

const good = ['a/k=0@0', 'b/k=0@1', 'c=1@0', 'd=1@1'] as const

function kinds(history: History): string[] {
  return history.problems().map(({ kind }) => kind)
}

void test('a reading of all that was acknowledged, in order, has no problem', () => {
  const history = sample()
  history.reading(sightings(...good), { isWhole: true })
  history.reading(sightings('b/k=0@1'), { isWhole: false })
  assert.deepEqual(history.problems(), [])
})

void test('a message that was sent and not acknowledged may be there', () => {
  const history = sample()
  history.reading(sightings(...good, 'e=1@2'), { isWhole: true })
  assert.deepEqual(kinds(history), [])
})

const bad: Readonly<Record<string, readonly [readonly string[], string]>> = {
  'an acknowledged message that nobody saw is lost': [['a/k=0@0', 'b/k=0@1', 'c=1@0'], 'lost'],
  'a message at two places is a duplicate': [[...good, 'a/k=0@2'], 'duplicate'],
  'a message that was not sent is alien': [[...good, 'z=1@2'], 'alien'],
  'a key whose messages changed places is in disorder': [
    ['b/k=0@0', 'a/k=0@1', 'c=1@0', 'd=1@1'],
    'disorder',
  ],
  'a key in two partitions is in disorder': [['a/k=0@0', 'b/k=1@2', 'c=1@3', 'd=1@4'], 'disorder'],
  'another key than was sent is disorder': [['a/k=0@0', 'b/q=0@1', 'c=1@0', 'd=1@1'], 'disorder'],
  'an offset left out is a jump': [['a/k=0@0', 'b/k=0@2', 'c=1@0', 'd=1@1'], 'jump'],
  'an offset read again is a jump': [[...good, 'd=1@1'], 'jump'],
}

for (const [sentence, [words, kind]] of Object.entries(bad)) {
  void test(sentence, () => {
    const history = sample()
    history.reading(sightings(...words), { isWhole: true })
    assert.ok(kinds(history).includes(kind), JSON.stringify(history.problems()))
  })
}

void test('a place that holds another message in a later reading was used again', () => {
  const history = sample()
  history.reading(sightings(...good), { isWhole: true })
  history.reading(sightings('a/k=0@0', 'b/k=0@1', 'c=1@0', 'e=1@1'), { isWhole: false })
  assert.ok(kinds(history).includes('reuse'))
})

void test('a message that was seen once and is not there later is lost, acknowledged or not', () => {
  const history = sample()
  history.reading(sightings('e=1@2'), { isWhole: false })
  history.reading(sightings(...good), { isWhole: true })
  assert.deepEqual(kinds(history), ['lost'])
})

void test('a receipt that names another place is untrue', () => {
  const history = sample()
  history.acked('e', { partition: 1, offset: 7 })
  history.reading(sightings(...good, 'e=1@2'), { isWhole: true })
  assert.deepEqual(kinds(history), ['receipt'])
})

void test('a receipt whose place holds nothing is a loss that names the place', () => {
  const history = sample()
  history.acked('e', { partition: 1, offset: 2 })
  history.reading(sightings(...good), { isWhole: true })
  assert.deepEqual(
    history.problems().map(({ sentence }) => sentence),
    ['e was acknowledged at 1@2 and is gone'],
  )
})

void test('a part of the topic proves no loss', () => {
  const history = sample()
  history.reading(sightings('c=1@0'), { isWhole: false })
  assert.deepEqual(history.problems(), [])
})

void test('at most ten problems of a kind are told', () => {
  const history = new History()
  for (let index = 0; index < 30; index += 1) {
    history.sent(`m${index}`)
    history.acked(`m${index}`)
  }
  history.reading([], { isWhole: true })
  assert.equal(history.problems().length, 10)
})
