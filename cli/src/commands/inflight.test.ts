import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { InflightMessage, WaitingRetryMessage } from '@popmq/client'
import { FakeClient } from '../testing/fake-client.ts'
import { transcript } from '../testing/fake-surroundings.ts'

const now = Date.UTC(2026, 0, 1)

const held: InflightMessage = {
  id: 'orders/3/17',
  topic: 'orders',
  partition: 3,
  offset: 17,
  attempt: 2,
  consumer: 'host:\u001b[2J7',
  since: now - 4_000,
  until: now + 26_000,
}

const waiting: WaitingRetryMessage = {
  id: '1-5',
  topic: 'orders',
  partition: 3,
  offset: 17,
  attempts: 2,
  dueAt: now + 10_000,
  state: 'waiting',
}

void test('inflight list shows who has what, for how long and until when', async () => {
  const inflight = async () => ({ messages: [held], complete: true })
  const client = new FakeClient({ groups: { inflight } })
  const { stdout, stderr } = await transcript('inflight list g', { client })
  assert.equal(
    stdout,
    [
      'id           topic   partition  offset  attempt  consumer    held  until',
      'orders/3/17  orders          3      17        2  host: [2J7  4s    2026-01-01T00:00:26.000Z',
      '',
    ].join('\n'),
  )
  assert.equal(stderr, '')
  const json = await transcript('inflight list g --json --limit 5', { client })
  assert.deepEqual(JSON.parse(json.stdout), held)
  assert.deepEqual(client.asked.at(-1), { what: 'inflight', given: ['g', { limit: 5 }] })
})

void test('a list that has not all there is says so on stderr', async () => {
  const groups = {
    inflight: async () => ({ messages: [held], complete: false }),
    retries: async () => ({ messages: [waiting], complete: false }),
  }
  for (const line of ['inflight list g --json', 'retry list g --json']) {
    const { exitCode, stderr } = await transcript(line, { client: new FakeClient({ groups }) })
    assert.match(stderr, /warn list_is_cut shown=1 more="raise --limit"/)
    assert.equal(exitCode, 0)
  }
})

void test('inflight release takes ids apart or with commas; what is not in flight is refused by name', async () => {
  const releaseInflight = async (_group: string, ids: readonly string[]) =>
    ids.map((id) => ({ id, result: id === '1-9' ? 'unknown' : 'released' }) as const)
  const client = new FakeClient({ groups: { releaseInflight } })
  const line = 'inflight release g --ids orders/3/17,1-5 1-5 1-9'
  const { exitCode, stdout, stderr } = await transcript(line, { client })
  assert.deepEqual(client.asked.at(-1)?.given, ['g', ['orders/3/17', '1-5', '1-9'], {}])
  assert.equal(stdout, 'released 2, unknown 1\n')
  assert.equal(
    stderr,
    'error message_not_found: 1-9 is not in flight: it was settled, or its lease is over (popmq inflight list g names what is)\n',
  )
  assert.equal(exitCode, 1)
  const json = await transcript('inflight release g --ids 1-5 --json', { client })
  assert.deepEqual([json.stdout, json.exitCode], ['{"id":"1-5","result":"released"}\n', 0])
})

void test('retry list shows what waits', async () => {
  const retries = async () => ({
    messages: [waiting, { ...waiting, id: '1-6', fingerprint: '9f86d081884c' }],
    complete: true,
  })
  const client = new FakeClient({ groups: { retries } })
  const { stdout } = await transcript('retry list g', { client })
  assert.match(stdout, /^1-5 {2}orders +3 +17 +2 {2}waiting {2}2026-01-01T00:00:10.000Z {2}-$/m)
  assert.match(stdout, /^1-6 .* 9f86d081884c$/m)
  const json = await transcript('retry list g --json', { client })
  assert.deepEqual(JSON.parse(json.stdout.split('\n')[0] ?? ''), waiting)
})

void test('retry now tells of each id that it could not change', async () => {
  const results = { '1-5': 'done', '1-6': 'busy', '1-7': 'unknown' } as const
  const retryNow = async (_group: string, ids: readonly string[]) =>
    ids.map((id) => ({ id, result: results[id as keyof typeof results] }))
  const client = new FakeClient({ groups: { retryNow } })
  const { exitCode, stdout, stderr } = await transcript('retry now g --ids 1-5 1-6 1-7', { client })
  assert.equal(stdout, 'done 1, busy 1, unknown 1\n')
  assert.match(stderr, /^error invalid_request: retry 1-6 is with a consumer, or being moved /)
  assert.match(stderr, /\nerror message_not_found: there is no retry 1-7 \(popmq retry list g/)
  assert.equal(exitCode, 1)
})

void test('retry dead asks on a terminal, and no is no', async () => {
  const retryDead = async () => [{ id: '1-5', result: 'done' } as const]
  const client = new FakeClient({ groups: { retryDead } })
  const refused = await transcript('retry dead g --ids 1-5', { client, answer: false })
  assert.deepEqual([refused.exitCode, client.asked], [1, []])
  for (const line of ['retry dead g --ids 1-5 --yes', 'retry dead g --ids 1-5']) {
    const answer = line.endsWith('--yes') ? { answer: false } : {}
    const { exitCode, stdout } = await transcript(line, { client, ...answer })
    assert.deepEqual([exitCode, stdout], [0, 'done 1\n'])
  }
})

void test('what these commands do not take is wrong usage', async () => {
  const expected: [string, RegExp][] = [
    ['inflight release g', /required option '--ids <id\.\.\.>'/],
    ['inflight release g --ids ,', /--ids: It names nothing/],
    ['inflight list', /missing required argument 'group'/],
    ['inflight list g --limit 100001', /--limit: "100001" is not a whole number from 1 to 100000/],
    ['retry now g --id 1-5', /unknown option --id \(did you mean --ids\?\)/],
    ['retry later g', /unknown command retry later/],
  ]
  for (const [line, what] of expected) {
    const { exitCode, stderr } = await transcript(line)
    assert.match(stderr, what)
    assert.equal(exitCode, 2, line)
  }
})
