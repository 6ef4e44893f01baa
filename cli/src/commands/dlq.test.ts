import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DeadLetter, LetterResult, LetterSelection, ShownLetter } from '@popmq/client'
import { FakeClient } from '../testing/fake-client.ts'
import { fakeMessage } from '../testing/fake-message.ts'
import { transcript } from '../testing/fake-surroundings.ts'

const now = Date.UTC(2026, 0, 1)

const letter: DeadLetter = {
  id: '1-7',
  messageId: '019b75a0-0000-7000-8000-000000000001',
  topic: 'orders',
  partition: 3,
  offset: 17,
  diedAt: now,
  cause: 'nack',
  attempts: 3,
  state: 'open',
  fingerprint: '9f86d081884c',
  errorType: 'TypeError',
  error: 'x is\nnot a function',
  key: 'o-17',
  tag: 'paid',
}
const { errorType: _type, error: _error, key: _key, ...bare } = letter

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  for (const item of items) yield await Promise.resolve(item)
}

void test('dlq list prints each letter with the fields that are promised, null where there is none', async () => {
  const client = new FakeClient({ letters: { list: () => each([letter, bare]) } })
  const { stdout } = await transcript('dlq list g --json --fingerprint 9f86d081884c --limit 2', {
    client,
  })
  const [first, second] = stdout.split('\n')
  assert.deepEqual(JSON.parse(first ?? ''), {
    id: '1-7',
    messageId: '019b75a0-0000-7000-8000-000000000001',
    fingerprint: '9f86d081884c',
    errorType: 'TypeError',
    error: 'x is\nnot a function',
    attempts: 3,
    diedAt: now,
    state: 'open',
    topic: 'orders',
    partition: 3,
    offset: 17,
    key: 'o-17',
  })
  const { errorType, error, key } = JSON.parse(second ?? '') as Record<string, unknown>
  assert.deepEqual([errorType, error, key], [null, null, null])
  assert.deepEqual(client.asked, [
    { what: 'deadLetters', given: ['g'] },
    { what: 'list', given: [{ fingerprint: '9f86d081884c', limit: 2 }] },
  ])
})

void test('dlq list is a table for people; however many letters, all are printed', async () => {
  const client = new FakeClient({ letters: { list: () => each([letter]) } })
  const { stdout } = await transcript('dlq list g', { client })
  assert.match(
    stdout,
    /^1-7 {2}2026-01-01T00:00:00.000Z {2}open +3 {2}orders-3@17 {2}o-17 {2}9f86d081884c {2}TypeError: x is not a function$/m,
  )
  const many = Array.from({ length: 2_500 }, (_, index) => ({ ...letter, id: `1-${index}` }))
  const all = new FakeClient({ letters: { list: () => each(many) } })
  const json = await transcript('dlq list g --json', { client: all })
  assert.equal(json.stdout.trimEnd().split('\n').length, 2_500)
  const none = new FakeClient({ letters: { list: () => each([]) } })
  assert.equal((await transcript('dlq list g', { client: none })).stdout, 'no dead letters\n')
  assert.equal((await transcript('dlq list g --json', { client: none })).stdout, '')
})

void test('dlq groups counts letters by error', async () => {
  const summary = {
    ...{ fingerprint: '9f86d081884c', errorType: 'TypeError', error: 'x is not a function' },
    ...{ count: 12, open: 3, firstAt: now - 1_000, lastAt: now },
  }
  const groups = async () => ({ groups: [summary], complete: true })
  const client = new FakeClient({ letters: { groups } })
  const json = await transcript('dlq groups g --json', { client })
  assert.deepEqual(JSON.parse(json.stdout), summary)
  const { stdout } = await transcript('dlq groups g', { client })
  assert.match(stdout, /^9f86d081884c +12 +3 {2}2025-12-31T.* TypeError: x is not a function$/m)
  const cut = new FakeClient({
    letters: { groups: async () => ({ groups: [summary], complete: false }) },
  })
  const told = await transcript('dlq groups g --json', { client: cut })
  assert.match(told.stderr, /warn list_is_cut shown=1\n$/)
})

const shown: ShownLetter = {
  ...letter,
  history: [
    {
      ...{ n: 1, at: now - 60_000, consumer: 'host:7', heldMs: 12, outcome: 'nack' },
      ...{ fingerprint: '9f86d081884c', error: { type: 'TypeError', message: 'first' } },
    },
    { ...{ n: 2, at: now - 30_000, heldMs: 30_000, outcome: 'expired' } },
    {
      ...{ n: 3, at: now - 1_000, consumer: 'host:8', heldMs: 1_000, outcome: 'nack' },
      error: {
        type: 'TypeError',
        message: 'x is not',
        stack: 'TypeError: x\n  at \u001b[2Jpay.js:1',
      },
    },
  ],
  message: fakeMessage({ headers: { source: 'test' } }),
}

void test('dlq show tells people what happened, why, and to what', async () => {
  const client = new FakeClient({ letters: { show: async () => shown } })
  const { stdout } = await transcript('dlq show g 1-7', { client })
  assert.equal(
    stdout,
    [
      'letter       1-7, open; died 2026-01-01T00:00:00.000Z after 3 attempts (nack)',
      'error        TypeError: x is not a function',
      'fingerprint  9f86d081884c',
      'origin       orders-3@17, appended 2026-01-01T12:00:00.000Z',
      'message      019b75a0-0000-7000-8000-000000000001',
      'key          o-17',
      'tag          paid',
      'header       source=test',
      'value        {"total":42}',
      'stack',
      '  TypeError: x',
      '  at  [2Jpay.js:1',
      'n  when                      held  consumer  outcome  error',
      '1  2025-12-31T23:59:00.000Z  12ms  host:7    nack     TypeError: first',
      '2  2025-12-31T23:59:30.000Z  30s   -         expired  -',
      '3  2025-12-31T23:59:59.000Z  1s    host:8    nack     TypeError: x is not',
      '',
    ].join('\n'),
  )
  const json = await transcript('dlq show g 1-7 --json', { client })
  const line = JSON.parse(json.stdout) as ShownLetter
  assert.deepEqual(line.history, shown.history)
  assert.deepEqual([line.cause, line.tag, line.message.value], ['nack', 'paid', { total: 42 }])
})

void test('a long value is cut for people only', async () => {
  const message = fakeMessage({ value: 'x'.repeat(5_000) })
  const client = new FakeClient({ letters: { show: async () => ({ ...shown, message }) } })
  const { stdout } = await transcript('dlq show g 1-7', { client })
  assert.match(stdout, /^value {8}"x{1999}… \(5002 characters; all with --json\)$/m)
  const json = await transcript('dlq show g 1-7 --json', { client })
  assert.ok(json.stdout.length > 5_000)
})

/** Answers each id as told, and remembers which were meant. */
function changing(results: Record<string, LetterResult['result']>) {
  const change = async (_letters: LetterSelection) =>
    Object.entries(results).map(([id, result]) => ({ id, result }))
  return new FakeClient({ letters: { discard: change, restore: change } })
}

void test('letters are selected by ids, by fingerprint, or all', async () => {
  const client = changing({ '1-7': 'done' })
  await transcript('dlq discard g --ids 1-7 1-8', { client })
  await transcript('dlq discard g --fingerprint 9f86d081884c', { client })
  await transcript('dlq restore g --all', { client })
  assert.deepEqual(
    client.asked.filter(({ what }) => what !== 'deadLetters'),
    [
      { what: 'discard', given: [['1-7', '1-8'], {}] },
      { what: 'discard', given: [{ fingerprint: '9f86d081884c' }, {}] },
      { what: 'restore', given: ['all', {}] },
    ],
  )
})

void test('dlq discard asks on a terminal, dlq restore does not', async () => {
  const client = changing({ '1-7': 'done', '1-8': 'already' })
  const refused = await transcript('dlq discard g --all', { client, answer: false })
  assert.deepEqual([refused.exitCode, client.asked], [1, []])
  const done = await transcript('dlq discard g --all --yes', { client, answer: false })
  assert.deepEqual([done.exitCode, done.stdout, done.stderr], [0, 'done 1, already 1\n', ''])
  const restored = await transcript('dlq restore g --all --json', { client, answer: false })
  assert.equal(restored.stdout, '{"id":"1-7","result":"done"}\n{"id":"1-8","result":"already"}\n')
})

void test('each letter that was refused is named with the reason, and the command ends with 1', async () => {
  const client = changing({ '1-7': 'done', '1-8': 'unknown', '1-9': 'reopened' })
  const { exitCode, stdout, stderr } = await transcript('dlq discard g --ids 1-7,1-8,1-9', {
    client,
  })
  assert.equal(stdout, 'done 1, unknown 1, reopened 1\n')
  const lines = stderr.trimEnd().split('\n')
  assert.match(lines[0] ?? '', /^error message_not_found: there is no dead letter 1-8 \(popmq dlq /)
  assert.match(lines[1] ?? '', /^error invalid_request: dead letter 1-9 is reopened: /)
  assert.equal(exitCode, 1)
  const nothing = await transcript('dlq discard g --all', { client: changing({}) })
  assert.deepEqual([nothing.exitCode, nothing.stdout], [0, 'there was nothing to discard\n'])
})

void test('what dlq does not take is wrong usage', async () => {
  const expected: [string, RegExp][] = [
    ['dlq discard g', /exactly one of --ids, --fingerprint and --all: there is none/],
    ['dlq restore g --all --ids 1-7', /exactly one of .*: there are 2/],
    ['dlq show g', /missing required argument 'id'/],
    ['dlq list g --fingerpint x', /unknown option --fingerpint \(did you mean --fingerprint\?\)/],
    ['dlq list g --limit 0', /--limit: "0" is not a whole number of at least 1/],
    ['dlq export g', /unknown command dlq export: it is not available yet/],
  ]
  for (const [line, what] of expected) {
    const { exitCode, stderr } = await transcript(line)
    assert.match(stderr, what)
    assert.equal(exitCode, 2, line)
  }
})
