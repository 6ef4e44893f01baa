import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  encodeFields,
  groupId,
  isMqError,
  offset,
  partitionKey,
  partitionNumber,
  topicId,
} from '@popmq/protocol'
import { fingerprint } from '../delivery/fingerprint.ts'
import { DeadLetters } from './dead-letters.ts'
import { deadKey, LetterLog, type SampleLetter } from './testing/letter-log.ts'

const key = partitionKey(topicId(5), partitionNumber(1))
const group = groupId(1)

/** A view with these letters of group 1, all of one partition. */
function given(letters: readonly Partial<SampleLetter>[], most?: number) {
  const log = new LetterLog()
  const view = new DeadLetters(most)
  for (const [index, letter] of letters.entries())
    view.apply(log.dead({ group: 1, key, offset: index, ...letter }))
  return { log, view }
}

function summaries(view: DeadLetters): unknown[] {
  const all = view.find(group)?.summaries.all() ?? []
  return all.map(({ fingerprint: print, count, open, error }) => [print, count, open, error])
}

const failure = (message: string) => ({ type: 'Error', message })

void test('a letter tells where its message was, of which group it is, and when it died', () => {
  const { view } = given([{ offset: 41, fingerprint: 7, diedAt: 900, firstAppendedAt: 300 }])
  const letters = view.find(group)
  assert.equal(letters?.key, deadKey(1))
  const letter = letters?.letter(offset(0)) ?? assert.fail('the letter is there')
  assert.deepEqual(
    [letter.state, letter.fingerprint, letter.key, letter.offset],
    ['open', 7, key, 41],
  )
  assert.deepEqual([letter.diedAt, letter.firstAppendedAt], [900, 300])
  assert.equal(view.find(groupId(2)), undefined)
})

void test('without an error a letter has the fingerprint of its outcome', () => {
  const { view } = given([{}])
  assert.equal(view.find(group)?.letter(offset(0)).fingerprint, fingerprint(undefined, 'expired'))
})

void test('a moved letter changes nothing', () => {
  const log = new LetterLog()
  const view = new DeadLetters()
  const record = log.dead({ group: 1, key, offset: 0 })
  view.apply(record)
  view.apply(log.moved(record))
  assert.deepEqual([view.find(group)?.high, view.find(group)?.counts(key).open], [1, 1])
})

void test('a letter that is discarded twice is discarded once, and can be restored', () => {
  const { log, view } = given([{}, {}])
  view.apply(log.changed(1, 'discarded', [0, 7]))
  view.apply(log.changed(1, 'discarded', [0]))
  assert.deepEqual(view.find(group)?.counts(key), { open: 1, left: 1 })
  view.apply(log.changed(1, 'open', [0, 1]))
  assert.deepEqual(view.find(group)?.counts(key), { open: 2, left: 0 })
})

void test('an open letter whose retention is over is left, a discarded one stays left', () => {
  const { log, view } = given([{}, {}, {}])
  view.apply(log.changed(1, 'discarded', [1]))
  view.apply(log.horizon(deadKey(1), 2))
  assert.deepEqual(view.find(group)?.counts(key), { open: 1, left: 2 })
  assert.equal(view.find(group)?.state(offset(1)), undefined)
  assert.equal(view.find(group)?.state(offset(2)), 'open')
})

void test('a horizon that is not above the low says nothing', () => {
  const { log, view } = given([{}, {}])
  view.apply(log.horizon(deadKey(1), 1))
  view.apply(log.horizon(deadKey(1), 0))
  assert.deepEqual([view.find(group)?.low, view.find(group)?.high], [1, 2])
})

void test('a reset takes letters out of all counts, those whose letters are gone too', () => {
  const { log, view } = given([{ offset: 3 }, { offset: 4 }, { offset: 5 }, { offset: 2 }])
  view.apply(log.changed(1, 'discarded', [2]))
  view.apply(log.horizon(deadKey(1), 2))
  view.reopen(group, key, offset(4))
  assert.deepEqual(view.find(group)?.counts(key), { open: 1, left: 1 })
  assert.equal(view.find(group)?.state(offset(2)), 'reopened')
  view.apply(log.changed(1, 'open', [2]))
  assert.equal(view.find(group)?.state(offset(2)), 'reopened')
  assert.deepEqual(summaries(view).length, 1)
})

void test('a reset says nothing to letters of another partition or group', () => {
  const other = partitionKey(topicId(5), partitionNumber(2))
  const { log, view } = given([{}, { key: other }])
  view.apply(log.dead({ group: 2, key, offset: 0 }))
  view.reopen(group, key, offset(0))
  assert.equal(view.find(group)?.state(offset(1)), 'open')
  assert.deepEqual(view.find(groupId(2))?.counts(key), { open: 1, left: 0 })
})

void test('the oldest open letter is the one whose message was appended first', () => {
  const { log, view } = given([
    { firstAppendedAt: 10, diedAt: 100 },
    { firstAppendedAt: 30, diedAt: 200 },
    { firstAppendedAt: 20, diedAt: 300 },
  ])
  view.apply(log.changed(1, 'discarded', [0]))
  const oldestOpen = { firstAppendedAt: 20, diedAt: 300 }
  assert.deepEqual(view.find(group)?.places(), [{ key, open: 2, left: 1, oldestOpen }])
  view.apply(log.changed(1, 'discarded', [1, 2]))
  assert.deepEqual(view.find(group)?.places(), [{ key, open: 0, left: 3 }])
})

void test('a summary has the error of its newest letter, and goes with its last', () => {
  const { log, view } = given([
    { fingerprint: 7, error: failure('one') },
    { fingerprint: 8, error: failure('x') },
    { fingerprint: 7, error: failure('two') },
  ])
  assert.deepEqual(summaries(view), [
    [7, 2, 2, 'two'],
    [8, 1, 1, 'x'],
  ])
  view.apply(log.horizon(deadKey(1), 2))
  assert.deepEqual(summaries(view), [[7, 1, 1, 'two']])
})

void test('fingerprints beyond the bound are summed up, and found all the same', () => {
  const prints = [1, 2, 3, 4, 3, 1].map((print) => ({
    fingerprint: print,
    error: failure(`${print}`),
  }))
  const { log, view } = given(prints, 2)
  assert.deepEqual(summaries(view), [
    [0, 3, 3, '3'],
    [1, 2, 2, '1'],
    [2, 1, 1, '2'],
  ])
  const question = { after: undefined, fingerprint: 3, limit: 10, mostLooked: 10 }
  assert.deepEqual(view.find(group)?.find(question).letters, [2, 4])
  view.apply(log.horizon(deadKey(1), 5))
  assert.deepEqual(summaries(view), [[1, 1, 1, '1']])
})

void test('where a summary went there is room for another fingerprint', () => {
  const { log, view } = given(
    [1, 2, 3].map((print) => ({ fingerprint: print })),
    2,
  )
  view.apply(log.horizon(deadKey(1), 1))
  view.apply(log.dead({ group: 1, key, offset: 3, fingerprint: 4 }))
  assert.deepEqual(
    view
      .find(group)
      ?.summaries.all()
      .map(({ fingerprint: print }) => print),
    [0, 2, 4],
  )
})

void test('a summary keeps a bounded part of its error, of whole chars', () => {
  const { view } = given([
    { fingerprint: 7, error: { type: 'T', message: `x${'é€😀'.repeat(100)}` } },
  ])
  const [summary] = view.find(group)?.summaries.all() ?? []
  const bytes = new TextEncoder().encode(summary?.error)
  assert.ok(bytes.length > 508 && bytes.length <= 512)
  assert.ok(`x${'é€😀'.repeat(100)}`.startsWith(summary?.error ?? '?'))
})

void test('a page of letters ends where it was told to, and says whether anything follows', () => {
  const prints = [1, 2, 1, 2, 1].map((print) => ({ fingerprint: print }))
  const { log, view } = given(prints)
  view.apply(log.horizon(deadKey(1), 1))
  const find = (asked: { after?: number; limit?: number; print?: number; mostLooked?: number }) => {
    const { after, limit = 5, print: fingerprint, mostLooked = 10 } = asked
    const from = after === undefined ? undefined : offset(after)
    const found = view.find(group)?.find({ after: from, fingerprint, limit, mostLooked })
    return [found?.letters, found?.last, found?.isComplete]
  }
  assert.deepEqual(find({ limit: 2 }), [[1, 2], 2, false])
  assert.deepEqual(find({ after: 2, limit: 2 }), [[3, 4], 4, true])
  assert.deepEqual(find({ after: 4 }), [[], undefined, true])
  assert.deepEqual(find({ limit: 2, print: 1 }), [[2, 4], 4, true])
  assert.deepEqual(find({ limit: 1, print: 2 }), [[1], 1, false])
  assert.deepEqual(find({ print: 1, mostLooked: 1 }), [[], 1, false])
  assert.deepEqual(find({ after: 100 }), [[], undefined, true])
})

void test('a group that is gone, or its topic of dead letters, takes its letters with it', () => {
  for (const gone of ['groupGone', 'topicGone'] as const) {
    const { log, view } = given([{}])
    view.apply(log.dead({ group: 2, key, offset: 0 }))
    view.apply(gone === 'groupGone' ? log.groupGone(1) : log.topicGone(901))
    assert.equal(view.find(group), undefined)
    assert.equal(view.find(groupId(2))?.counts(key).open, 1)
  }
})

void test('letters outlive the topic of their messages', () => {
  const { log, view } = given([{}, {}])
  view.apply(log.topicGone(5))
  assert.deepEqual(view.find(group)?.places(), [])
  view.apply(log.changed(1, 'discarded', [0]))
  view.apply(log.horizon(deadKey(1), 1))
  assert.deepEqual([view.find(group)?.state(offset(1)), summaries(view).length], ['open', 1])
})

void test('a snapshot of another version is refused by name', () => {
  assert.throws(
    () => new DeadLetters().restore(encodeFields({ version: 2, groups: [] })),
    (error: unknown) => isMqError(error, 'newer_format'),
  )
})

void test('a view that takes in a snapshot forgets what it knew', () => {
  const { log, view } = given([{}])
  view.restore(new DeadLetters().encode())
  assert.deepEqual([...view.groups()], [])
  view.apply(log.dead({ group: 1, key, offset: 1 }))
  assert.deepEqual([view.find(group)?.low, view.find(group)?.high], [1, 2])
})
