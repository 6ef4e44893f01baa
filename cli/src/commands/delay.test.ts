import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DelayResult } from '@popmq/client'
import { MqError } from '@popmq/protocol'
import { FakeClient } from '../testing/fake-client.ts'
import { fakeMessage } from '../testing/fake-message.ts'
import { transcript } from '../testing/fake-surroundings.ts'

const now = Date.UTC(2026, 0, 1)
const delayed = { id: '1-4', topic: 'orders', partition: 3, dueAt: now + 60_000, bytes: 180 }

void test('delay list shows what waits in a topic', async () => {
  const list = async () => ({ messages: [delayed], total: 1, complete: true })
  const client = new FakeClient({ delays: { list } })
  const { stdout, stderr } = await transcript('delay list orders', { client })
  assert.equal(
    stdout,
    [
      'id   topic   partition  due                       bytes',
      '1-4  orders          3  2026-01-01T00:01:00.000Z    180',
      '',
    ].join('\n'),
  )
  assert.equal(stderr, '')
  const json = await transcript('delay list orders --json --limit 7', { client })
  assert.deepEqual(JSON.parse(json.stdout), delayed)
  assert.deepEqual(client.asked.at(-1)?.given, ['orders', { limit: 7 }])
  const cut = async () => ({ messages: [delayed], total: 9, complete: false })
  const told = await transcript('delay list orders', {
    client: new FakeClient({ delays: { list: cut } }),
  })
  assert.match(told.stdout, /\n1 of 9\n$/)
  assert.match(told.stderr, /warn list_is_cut shown=1/)
})

void test('delay show has the message, which has no offset yet', async () => {
  const show = async () => ({ ...delayed, message: fakeMessage({ offset: -1 }) })
  const client = new FakeClient({ delays: { show } })
  const { stdout } = await transcript('delay show 1-4', { client })
  assert.match(stdout, /^delayed 1-4, due 2026-01-01T00:01:00.000Z\n/)
  assert.match(stdout, /^value +\{"total":42\}$/m)
  const json = await transcript('delay show 1-4 --json', { client })
  const { message, ...rest } = JSON.parse(json.stdout) as Record<string, Record<string, unknown>>
  assert.deepEqual(rest, delayed)
  assert.deepEqual([message?.['offset'], message?.['value']], [-1, { total: 42 }])
  const gone = new FakeClient({
    delays: { show: () => Promise.reject(new MqError('message_not_found', 'no 1-9')) },
  })
  const missing = await transcript('delay show 1-9', { client: gone })
  assert.match(missing.stderr, /^error message_not_found: no 1-9/)
  assert.equal(missing.exitCode, 1)
})

void test('delay cancel asks on a terminal, and tells why it was refused', async () => {
  const results: Record<string, DelayResult> = { '1-4': 'done', '1-5': 'delivered' }
  const cancel = async (id: string) => results[id] ?? 'unknown'
  const client = new FakeClient({ delays: { cancel } })
  const refused = await transcript('delay cancel 1-4', { client, answer: false })
  assert.deepEqual([refused.exitCode, client.asked], [1, []])
  const done = await transcript('delay cancel 1-4 --yes --json', { client, answer: false })
  assert.deepEqual([done.exitCode, done.stdout], [0, '{"id":"1-4","result":"done"}\n'])
  const late = await transcript('delay cancel 1-5', { client })
  assert.match(late.stderr, /^error message_not_found: .* 1-5 was delivered already /)
  const none = await transcript('delay cancel 1-6', { client })
  assert.match(none.stderr, /^error message_not_found: there is no delayed message 1-6 /)
  assert.deepEqual([late.exitCode, none.exitCode], [1, 1])
})

void test('delay move takes a time from now, too', async () => {
  const move = async (_id: string, at: Date | number) =>
    ({ result: 'done', dueAt: Number(at) }) as const
  const client = new FakeClient({ delays: { move } })
  const { stdout } = await transcript('delay move 1-4 --at +1h', { client })
  assert.equal(stdout, 'done 1\ndue 2026-01-01T01:00:00.000Z\n')
  assert.deepEqual(client.asked.at(-1)?.given, ['1-4', now + 3_600_000, {}])
  const json = await transcript('delay move 1-4 --at 2026-02-01 --json', { client })
  const line = { id: '1-4', result: 'done', dueAt: Date.UTC(2026, 1, 1) }
  assert.deepEqual(JSON.parse(json.stdout), line)
})

void test('what delay does not take is wrong usage', async () => {
  const expected: [string, RegExp][] = [
    ['delay move 1-4', /required option '--at <time>'/],
    ['delay move 1-4 --at soon', /"soon" is not a time/],
    ['delay cancel', /missing required argument 'id'/],
    ['delay lits orders', /unknown command delay lits \(did you mean list\?\)/],
  ]
  for (const [line, what] of expected) {
    const { exitCode, stderr } = await transcript(line)
    assert.match(stderr, what)
    assert.equal(exitCode, 2, line)
  }
})
