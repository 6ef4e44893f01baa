import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type DeadLetter as Letter, offset, partitionNumber, type TopicId } from '@popmq/protocol'
import type { DeadLetter } from './api/dead-letters.ts'
import { FakeWaiting } from './testing/fake-waiting.ts'
import { makeWorld, type World } from './testing/world.ts'

const alike = 'aaaaaaaaaaaa'
const other = 'bbbbbbbbbbbb'

async function setUp(): Promise<World & { waiting: FakeWaiting; letter: MakeLetter }> {
  const waiting = new FakeWaiting()
  const world = await makeWorld({ brokers: 2, parts: [waiting] })
  const { id: topicId } = world.cluster.addTopic('orders', 2)
  return {
    ...world,
    waiting,
    letter: (at, diedAt, more) => letterOf(topicId, { at, diedAt, more }),
  }
}

type MakeLetter = (at: number, diedAt: number, more?: Partial<Letter>) => Letter

function letterOf(
  topicId: TopicId,
  { at, diedAt, more = {} }: { at: number; diedAt: number; more?: Partial<Letter> | undefined },
): Letter {
  return {
    letter: offset(at),
    topicId,
    partition: partitionNumber(0),
    offset: offset(100 + at),
    messageId: '018f0000-0000-7000-8000-000000000000',
    diedAt,
    cause: 'nack',
    attempts: 3,
    state: 'open',
    fingerprint: alike,
    ...more,
  }
}

async function all(letters: AsyncIterable<DeadLetter>): Promise<DeadLetter[]> {
  const told: DeadLetter[] = []
  for await (const letter of letters) told.push(letter)
  return told
}

void test('letters of all brokers come oldest first, page by page, all unless limited', async () => {
  const { client, until, waiting, letter } = await setUp()
  waiting.set(1).letters = [1, 4, 5, 8, 9].map((diedAt, at) => letter(at, diedAt))
  waiting.set(2).letters = [2, 3, 6, 7].map((diedAt, at) => letter(at, diedAt))
  const letters = client.admin().deadLetters('billing')
  const told = await until(all(letters.list()))
  assert.deepEqual(
    told.map(({ diedAt }) => diedAt),
    [1, 2, 3, 4, 5, 6, 7, 8, 9],
  )
  const { id, topic, partition, offset: at, attempts, cause } = told[3] ?? {}
  assert.deepEqual(
    [id, topic, partition, at, attempts, cause],
    ['1-1', 'orders', 0, 101, 3, 'nack'],
  )
  assert.equal((await until(all(letters.list({ limit: 4 })))).length, 4)
})

void test('a filter reads on over pages in which nothing is found', async () => {
  const { client, until, failure, waiting, letter } = await setUp()
  waiting.set(1).letters = [0, 1, 2, 3, 4, 5].map((at) => {
    return letter(at, at, { fingerprint: at === 5 ? other : alike })
  })
  const letters = client.admin().deadLetters('billing')
  const found = await until(all(letters.list({ fingerprint: other })))
  assert.deepEqual(
    found.map(({ id }) => id),
    ['1-5'],
  )
  const error = await failure(all(letters.list({ fingerprint: 'none' })))
  assert.equal(error.name, 'invalid_request')
  const unknown = client.admin().deadLetters('nobody')
  assert.equal((await failure(all(unknown.list()))).name, 'group_not_found')
})

void test('groups of letters are one over all brokers, with the newest error', async () => {
  const { client, until, waiting, letter } = await setUp()
  waiting.set(1).letters = [letter(0, 9, { error: 'new' }), letter(1, 1, { fingerprint: other })]
  waiting.set(2).letters = [letter(0, 4, { error: 'old', state: 'discarded' })]
  assert.deepEqual(await until(client.admin().deadLetters('billing').groups()), {
    complete: true,
    groups: [
      { fingerprint: alike, error: 'new', count: 2, open: 1, firstAt: 4, lastAt: 9 },
      { fingerprint: other, count: 1, open: 1, firstAt: 1, lastAt: 1 },
    ],
  })
})

void test('a letter is shown with its message and its attempts', async () => {
  const { client, until, failure, waiting, letter } = await setUp()
  const history = [{ n: 1, at: 5, heldMs: 7, outcome: 'nack', error: { message: 'no' } }] as const
  waiting.set(2).letters = [letter(3, 9, { history: [...history] })]
  const letters = client.admin().deadLetters('billing')
  const shown = await until(letters.show('2-3'))
  assert.deepEqual(shown.history, history)
  const { message } = shown
  assert.deepEqual([message.value, message.topic, message.offset], ['dead', 'orders', 103])
  const [listed] = await until(all(letters.list()))
  assert.ok(listed !== undefined && !('history' in listed) && !('letter' in listed))
  assert.equal((await failure(letters.show('2-4'))).name, 'message_not_found')
  assert.equal((await failure(letters.show('2'))).name, 'invalid_request')
})

void test('letters are discarded and restored by id, by fingerprint, or all that would change', async () => {
  const { client, until, failure, waiting, letter } = await setUp()
  waiting.set(1).letters = [
    letter(0, 1),
    letter(1, 2, { state: 'discarded' }),
    letter(2, 3, { fingerprint: other }),
  ]
  waiting.set(2).letters = [letter(0, 4)]
  const letters = client.admin().deadLetters('billing')
  assert.deepEqual(await until(letters.discard(['2-0', '1-1', '1-77', '9-0'])), [
    { id: '2-0', result: 'done' },
    { id: '1-1', result: 'already' },
    { id: '1-77', result: 'unknown' },
    { id: '9-0', result: 'unknown' },
  ])
  const ids = async (changed: Promise<{ id: string }[]>): Promise<string[]> =>
    (await until(changed)).map(({ id }) => id)
  assert.deepEqual(await ids(letters.discard('all')), ['1-0', '1-2', '2-0'])
  assert.deepEqual(await ids(letters.discard({ fingerprint: alike })), ['1-0', '2-0'])
  assert.deepEqual(await ids(letters.restore('all')), ['1-1'])
  assert.deepEqual(await ids(letters.restore([])), [])
  const before = waiting.set(1).changes.length
  assert.equal((await failure(letters.discard(['1-0', 'x']))).name, 'invalid_request')
  assert.equal(waiting.set(1).changes.length, before)
})
