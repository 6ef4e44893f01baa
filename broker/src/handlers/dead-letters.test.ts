import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  deadGroups,
  deadList,
  deadShow,
  type Failure,
  formatFingerprint,
  type GroupId,
  groupId,
  isMqError,
  type Offset,
  offset,
  partitionKey,
  partitionNumber,
  type RecordView,
  topicId,
} from '@popmq/protocol'
import { DeadLetters } from '../core/dead-letters/index.ts'
import { deadKey, LetterLog } from '../core/dead-letters/testing/letter-log.ts'
import { handleDeadChange } from './dead-change.ts'
import { handleDeadGroups } from './dead-groups.ts'
import { handleDeadList } from './dead-list.ts'
import { handleDeadShow } from './dead-show.ts'

const key = partitionKey(topicId(5), partitionNumber(1))
const group = groupId(1)
const error: Failure = { type: 'TypeError', message: 'x is 17', stack: 'at pay (/app/pay.js:1:2)' }

/** Group 1 with letters 0 to 4, of the fingerprints 7 and 8 in turn. */
class SmallSet {
  readonly log = new LetterLog()
  readonly letters = new DeadLetters()
  readonly records = new Map<number, RecordView>()
  readonly reads: number[] = []
  /** Called while a letter is read. */
  meanwhile: (letter: number) => void = () => undefined

  constructor() {
    for (let at = 0; at < 5; at += 1) {
      const died = { diedAt: 100 + at, fingerprint: 7 + (at % 2), error }
      const record = this.log.dead({ group: 1, key, offset: 10 + at, ...died })
      this.letters.apply(record)
      this.records.set(at, record)
    }
  }

  readonly readLetter = async (of: GroupId, letter: Offset): Promise<RecordView | undefined> => {
    assert.equal(of, group)
    this.reads.push(letter)
    this.meanwhile(letter)
    return this.records.get(letter)
  }

  async list(asked: { after?: number; limit?: number; fingerprint?: string }) {
    const { reply } = await handleDeadList({ groupId: group, limit: 10, ...asked }, this)
    deadList.reply(reply, '')
    return reply
  }
}

void test('letters are listed oldest first, page by page', async () => {
  const set = new SmallSet()
  const first = await set.list({ limit: 3 })
  assert.deepEqual(
    first.letters.map(({ letter }) => letter),
    [0, 1, 2],
  )
  assert.deepEqual([first.next, first.complete], [2, false])
  const second = await set.list({ limit: 3, after: 2 })
  assert.deepEqual(
    second.letters.map(({ letter }) => letter),
    [3, 4],
  )
  assert.equal(second.complete, true)
  assert.deepEqual(await set.list({ after: 4 }), { letters: [], complete: true })
  assert.deepEqual(set.reads, [0, 1, 2, 3, 4])
})

void test('a listed letter tells what people ask for first', async () => {
  const set = new SmallSet()
  const { letters } = await set.list({ limit: 1 })
  assert.deepEqual(letters, [
    {
      letter: 0,
      topicId: 5,
      partition: 1,
      offset: 10,
      messageId: '0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a',
      diedAt: 100,
      cause: 'nack',
      attempts: 2,
      state: 'open',
      fingerprint: formatFingerprint(7),
      errorType: 'TypeError',
      error: 'x is 17',
      key: 'ann',
      tag: 'vip',
    },
  ])
})

void test('only letters of the fingerprint are listed, and only those are read', async () => {
  const set = new SmallSet()
  const { letters, complete } = await set.list({ fingerprint: formatFingerprint(8) })
  assert.deepEqual(
    letters.map(({ letter }) => letter),
    [1, 3],
  )
  assert.deepEqual([set.reads, complete], [[1, 3], true])
  assert.deepEqual((await set.list({ fingerprint: formatFingerprint(9) })).letters, [])
})

void test('text that is no fingerprint is refused', async () => {
  const set = new SmallSet()
  await assert.rejects(set.list({ fingerprint: 'TypeError' }), (refused: unknown) =>
    isMqError(refused, 'invalid_request'),
  )
})

void test('a letter that goes while another is read is not listed, and a change is told', async () => {
  const set = new SmallSet()
  set.meanwhile = (letter) => {
    if (letter !== 1) return
    set.letters.apply(set.log.horizon(deadKey(1), 2))
    set.letters.apply(set.log.changed(1, 'discarded', [3]))
    set.records.delete(2)
  }
  const { letters } = await set.list({})
  assert.deepEqual(
    letters.map(({ letter, state }) => [letter, state]),
    [
      [0, 'open'],
      [3, 'discarded'],
      [4, 'open'],
    ],
  )
})

void test('a group without a letter has an empty list and no summaries', async () => {
  const set = new SmallSet()
  const other = groupId(2)
  const { reply } = await handleDeadList({ groupId: other, limit: 10 }, set)
  assert.deepEqual(reply, { letters: [], complete: true })
  const { reply: summed } = await handleDeadGroups({ groupId: other }, set)
  assert.deepEqual(summed, { groups: [], complete: true })
})

void test('a letter is shown with its attempts and its record', async () => {
  const set = new SmallSet()
  const { reply, slices } = await handleDeadShow({ groupId: group, letter: offset(3) }, set)
  const { letter } = deadShow.reply(reply, '')
  assert.deepEqual([letter.letter, letter.offset, letter.error], [3, 13, 'x is 17'])
  assert.deepEqual(letter.history, [{ n: 2, at: 102, heldMs: 1, outcome: 'nack', error }])
  assert.deepEqual(slices, [set.records.get(3)?.bytes])
})

void test('a letter that is not there, or goes while it is read, is not found', async () => {
  const set = new SmallSet()
  set.meanwhile = () => set.letters.apply(set.log.horizon(deadKey(1), 2))
  for (const letter of [9, 1])
    await assert.rejects(
      handleDeadShow({ groupId: group, letter: offset(letter) }, set),
      (refused: unknown) => isMqError(refused, 'message_not_found'),
    )
  assert.deepEqual(set.reads, [1])
})

void test('the letters of a group are summed up by fingerprint', async () => {
  const set = new SmallSet()
  set.letters.apply(set.log.changed(1, 'discarded', [0]))
  const { reply } = await handleDeadGroups({ groupId: group }, set)
  const told = { errorType: 'TypeError', error: 'x is 17' }
  assert.deepEqual(deadGroups.reply(reply, ''), {
    groups: [
      { fingerprint: formatFingerprint(7), ...told, count: 3, open: 2, firstAt: 100, lastAt: 104 },
      { fingerprint: formatFingerprint(8), ...told, count: 2, open: 2, firstAt: 101, lastAt: 103 },
    ],
    complete: true,
  })
})

void test('sums over too many fingerprints say that they are not complete', async () => {
  const log = new LetterLog()
  const letters = new DeadLetters(1)
  for (const print of [7, 8, 9])
    letters.apply(log.dead({ group: 1, key, offset: print, fingerprint: print }))
  const { reply } = await handleDeadGroups({ groupId: group }, { letters })
  assert.deepEqual(
    reply.groups.map(({ fingerprint, count }) => [fingerprint, count]),
    [
      ['000000000000', 2],
      ['000000000007', 1],
    ],
  )
  assert.equal(reply.complete, false)
})

void test('a change is answered with what became of each letter', async () => {
  const asked = { groupId: group, letters: [offset(1), offset(2)], to: 'discarded' as const }
  const change = async (given: object) => {
    assert.equal(given, asked)
    return ['done', 'already'] as const
  }
  const { reply } = await handleDeadChange(asked, { changes: { change } })
  assert.deepEqual(reply, { results: ['done', 'already'] })
})
