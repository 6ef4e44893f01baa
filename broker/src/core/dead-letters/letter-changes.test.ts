import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deferred, type Deferred } from '@popmq/kit'
import {
  groupId,
  isMqError,
  type LogPosition,
  logPosition,
  MqError,
  offset,
  partitionKey,
  partitionNumber,
  topicId,
} from '@popmq/protocol'
import { DeadLetters } from './dead-letters.ts'
import { LetterChanges } from './letter-changes.ts'
import { decodeLettersChange, encodeLettersChange } from './letters-change.ts'
import { deadKey, LetterLog } from './testing/letter-log.ts'

const key = partitionKey(topicId(5), partitionNumber(1))

/** Group 1 with three letters, and a log in which a change is applied when the test says so. */
class SmallSet {
  readonly log = new LetterLog()
  readonly letters = new DeadLetters()
  readonly appended: { readonly body: Uint8Array; readonly done: Deferred<void> }[] = []
  readonly changes = new LetterChanges({
    letters: this.letters,
    appendControl: ({ kind, body }): LogPosition => {
      assert.equal(kind, 'letters_changed')
      return logPosition(this.appended.push({ body, done: deferred() }))
    },
    whenDone: (end) =>
      this.appended[end - 1]?.done.promise ?? Promise.reject(new Error('unknown end')),
  })

  constructor() {
    for (let at = 0; at < 3; at += 1)
      this.letters.apply(this.log.dead({ group: 1, key, offset: at }))
  }

  change(to: 'open' | 'discarded', ...letters: number[]) {
    return this.changes.change({ groupId: groupId(1), to, letters: letters.map(offset) })
  }

  /** Applies the change that was appended as the `index`th. */
  finish(index: number): void {
    const { body, done } = this.appended[index] ?? assert.fail('it was appended')
    const { to, letters } = decodeLettersChange(body)
    this.letters.apply(this.log.changed(1, to, letters))
    done.resolve()
  }
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve()
}

void test('letters are discarded in one record, and only those that can be', async () => {
  const set = new SmallSet()
  set.letters.reopen(groupId(1), key, offset(2))
  const changed = set.change('discarded', 0, 7, 1, 2, 0)
  await settled()
  set.finish(0)
  assert.deepEqual(await changed, ['done', 'unknown', 'done', 'reopened', 'already'])
  assert.deepEqual(decodeLettersChange(set.appended[0]?.body ?? new Uint8Array(0)).letters, [0, 1])
  assert.equal(set.letters.find(groupId(1))?.state(offset(1)), 'discarded')
})

void test('nothing is appended when nothing is to be changed', async () => {
  const set = new SmallSet()
  assert.deepEqual(await set.change('open', 0, 1, 9), ['already', 'already', 'unknown'])
  assert.deepEqual(await set.change('open'), [])
  const other = { groupId: groupId(2), to: 'open' as const, letters: [offset(0)] }
  assert.deepEqual(await set.changes.change(other), ['unknown'])
  assert.equal(set.appended.length, 0)
})

void test('a second change of a letter waits for the first, and is judged by what it came to', async () => {
  const set = new SmallSet()
  const first = set.change('discarded', 0)
  const second = set.change('discarded', 0, 1)
  const third = set.change('open', 0)
  await settled()
  assert.equal(set.appended.length, 1)
  set.finish(0)
  assert.deepEqual(await first, ['done'])
  await settled()
  assert.equal(set.appended.length, 3)
  set.finish(1)
  set.finish(2)
  assert.deepEqual(await second, ['already', 'done'])
  assert.deepEqual(await third, ['done'])
})

void test('changes of different letters do not wait for each other', async () => {
  const set = new SmallSet()
  const changes = [set.change('discarded', 0), set.change('discarded', 1)]
  await settled()
  assert.equal(set.appended.length, 2)
  set.finish(1)
  set.finish(0)
  assert.deepEqual(await Promise.all(changes), [['done'], ['done']])
})

void test('what came before the change was applied is told', async () => {
  const set = new SmallSet()
  const changed = set.change('discarded', 0, 1, 2)
  await settled()
  set.letters.apply(set.log.horizon(deadKey(1), 1))
  set.letters.reopen(groupId(1), key, offset(2))
  set.finish(0)
  assert.deepEqual(await changed, ['unknown', 'done', 'reopened'])
})

void test('a change whose end is not known frees its letters', async () => {
  const set = new SmallSet()
  const first = set.change('discarded', 0)
  const second = set.change('discarded', 0)
  await settled()
  set.appended[0]?.done.reject(new MqError('outcome_unknown', 'the leader is gone'))
  await assert.rejects(first, (error: unknown) => isMqError(error, 'outcome_unknown'))
  await settled()
  set.finish(1)
  assert.deepEqual(await second, ['done'])
})

void test('a change of letters is read as it was written', () => {
  const change = {
    groupId: groupId(0xffff_ffff),
    to: 'discarded' as const,
    letters: [0, 2 ** 50].map(offset),
  }
  assert.deepEqual(decodeLettersChange(encodeLettersChange(change)), change)
  const none = { groupId: groupId(3), to: 'open' as const, letters: [] }
  assert.deepEqual(decodeLettersChange(encodeLettersChange(none)), none)
  assert.equal(
    Buffer.from(encodeLettersChange({ ...change, letters: [offset(258)] })).toString('hex'),
    'ffffffff010000000201000000000000',
  )
})

void test('bytes that are no change of letters are refused', () => {
  const whole = encodeLettersChange({ groupId: groupId(3), to: 'open', letters: [offset(1)] })
  const unknown = whole.slice()
  unknown[4] = 2
  for (const bytes of [whole.subarray(0, 7), whole.subarray(0, 15), unknown])
    assert.throws(
      () => decodeLettersChange(bytes),
      (error: unknown) => isMqError(error, 'corrupt_record'),
    )
})
