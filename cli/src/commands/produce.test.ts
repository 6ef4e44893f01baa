import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MqError } from '@popmq/protocol'
import { Stop } from '../stop.ts'
import { FakeClient } from '../testing/fake-client.ts'
import { transcript } from '../testing/fake-surroundings.ts'

void test('one message is sent, and its receipt printed', async () => {
  const client = new FakeClient()
  const { exitCode, stdout } = await transcript(['produce', 'orders', '{"total":42}'], { client })
  assert.deepEqual(client.sent, [{ topic: 'orders', value: { total: 42 } }])
  assert.equal(stdout, 'orders-0@0 id-0 (acks disk)\nsent 1, acked 1, failed 0 in 0 s\n')
  assert.equal(exitCode, 0)
})

void test('each line of a file is a message, with key, tag, dedup id and headers from where they are told', async () => {
  const client = new FakeClient()
  const lines = '{"author":"ann","kind":"push","n":1}\n\n{"author":7,"n":2}\n"text"\n'
  const files = { 'commits.ndjson': lines }
  const flags =
    '--file commits.ndjson --tag kind --header source=test --header a=b=c --partition 4 --json'
  const { exitCode, stdout } = await transcript(`produce commits ${flags}`, { client, files })
  const headers = { source: 'test', a: 'b=c' }
  assert.deepEqual(client.sent, [
    {
      topic: 'commits',
      value: { author: 'ann', kind: 'push', n: 1 },
      partition: 4,
      headers,
      tag: 'push',
    },
    { topic: 'commits', value: { author: 7, n: 2 }, partition: 4, headers },
    { topic: 'commits', value: 'text', partition: 4, headers },
  ])
  assert.equal(stdout, '{"sent":3,"acked":3,"failed":0,"seconds":0}\n')
  assert.equal(exitCode, 0)

  const keyed = new FakeClient()
  await transcript('produce commits --file commits.ndjson --key n --dedup n', {
    client: keyed,
    files,
  })
  assert.deepEqual(
    keyed.sent.map(({ key, dedupId }) => [key, dedupId]),
    [
      ['1', '1'],
      ['2', '2'],
    ],
  )
})

void test('stdin is read with --file -', async () => {
  const client = new FakeClient()
  await transcript('produce orders --file -', { client, files: { '-': '1\n2\n' } })
  assert.deepEqual(
    client.sent.map(({ value }) => value),
    [1, 2],
  )
})

void test('the flags of delivery reach the producer', async () => {
  const client = new FakeClient()
  await transcript('produce t 1 --acks 0 --batch 50 --deliver-within 5m', { client })
  await transcript('produce t 1', { client })
  const producers = client.asked
    .filter(({ what }) => what === 'producer')
    .map(({ given }) => given[0])
  assert.deepEqual(producers, [
    { acks: 'disk', batchMessages: 50, deliverWithinMs: 300_000 },
    { deliverWithinMs: 120_000 },
  ])
})

void test('a malformed line is named; those before it are sent and counted, none behind it', async () => {
  const client = new FakeClient()
  const files = { f: '{"k":"a"}\n{"k":"b"}\n{oops\n{"k":"d"}\n' }
  const { exitCode, stdout, stderr } = await transcript('produce t --file f --json', {
    client,
    files,
  })
  assert.deepEqual(
    client.sent.map(({ value }) => value),
    [{ k: 'a' }, { k: 'b' }],
  )
  assert.equal(stdout, '{"sent":2,"acked":2,"failed":0,"seconds":0}\n')
  assert.match(stderr, /^error invalid_request: line 3 is not JSON: .*\n$/)
  assert.equal(exitCode, 1)
})

void test('a line without the field for its key is refused: its order would be lost', async () => {
  const client = new FakeClient()
  const files = { f: '{"k":"a"}\n{"x":1}\n' }
  const { exitCode, stderr } = await transcript('produce t --file f --key k', { client, files })
  assert.match(stderr, /line 2 has no field "k"/)
  assert.deepEqual([exitCode, client.sent.length], [1, 1])
})

void test('a message that fails is counted, the others go on, and the command ends with 1', async () => {
  const onSend = ({ value }: { value: unknown }) =>
    value === 2 ? new MqError('message_too_large', 'the message is too large') : undefined
  const client = new FakeClient({ onSend })
  const { exitCode, stdout, stderr } = await transcript('produce t --file - --json', {
    client,
    files: { '-': '1\n2\n3' },
  })
  assert.equal(stdout, '{"sent":3,"acked":2,"failed":1,"seconds":0}\n')
  assert.match(stderr, /^error message_too_large: the message is too large \(/)
  assert.equal(exitCode, 1)
})

void test('what would fail for every message stops the sending', async () => {
  const onSend = () => new MqError('topic_not_found', 'topic "t" does not exist')
  const client = new FakeClient({ onSend })
  const lines = Array.from({ length: 100_000 }, (_, index) => index).join('\n')
  const { exitCode, stdout } = await transcript('produce t --file - --json --batch 10', {
    client,
    files: { '-': lines },
  })
  const { sent } = JSON.parse(stdout) as { sent: number }
  assert.ok(sent < 1_000, `${sent} were tried`)
  assert.equal(exitCode, 1)
})

void test('a bounded number of batches is under way: reading waits for acknowledgements', async () => {
  let underWay = 0
  let most = 0
  const onSend = async () => {
    underWay += 1
    most = Math.max(most, underWay)
    await new Promise(setImmediate)
    underWay -= 1
    return undefined
  }
  const lines = Array.from({ length: 5_000 }, (_, index) => index).join('\n')
  const client = new FakeClient({ onSend })
  await transcript('produce t --file - --batch 10', { client, files: { '-': lines } })
  assert.equal(client.sent.length, 5_000)
  assert.ok(most <= 320, `${most} messages were under way`)
})

void test('being stopped drains, counts, and ends with 1 because the input did not end', async () => {
  const stop = new Stop(() => undefined)
  const client = new FakeClient({
    onSend: () => {
      stop.bySignal()
      return undefined
    },
  })
  const lines = Array.from({ length: 10_000 }, (_, index) => index).join('\n')
  const { exitCode, stdout, stderr } = await transcript('produce t --file - --json --batch 10', {
    client,
    stop,
    files: { '-': lines },
  })
  const { sent, acked } = JSON.parse(stdout) as { sent: number; acked: number }
  assert.equal(acked, sent)
  assert.ok(sent < 10_000)
  assert.match(stderr, /^error aborted: stopped before the input ended, after \d+ messages/)
  assert.equal(exitCode, 1)
})

void test('a delay, or a time, goes with every message', async () => {
  const client = new FakeClient()
  const files = { f: '1\n2\n' }
  await transcript('produce t --file f --delay 1.5s', { client, files })
  const now = Date.UTC(2026, 0, 1)
  for (const at of ['+1h', '-1h', '2026-03-01T12:00:00Z', '1767225600000']) {
    await transcript(`produce t 3 --at ${at}`, { client })
  }
  assert.deepEqual(client.sent, [
    { topic: 't', value: 1, delayMs: 1_500 },
    { topic: 't', value: 2, delayMs: 1_500 },
    { topic: 't', value: 3, deliverAt: now + 3_600_000 },
    { topic: 't', value: 3, deliverAt: now - 3_600_000 },
    { topic: 't', value: 3, deliverAt: Date.UTC(2026, 2, 1, 12) },
    { topic: 't', value: 3, deliverAt: 1_767_225_600_000 },
  ])
})

void test('the receipt of a delayed message names it', async () => {
  const delayed = { offset: -1, delayId: '1-4' }
  const client = new FakeClient({ receipt: delayed })
  const { stdout } = await transcript('produce t 1 --delay 5s', { client })
  assert.match(stdout, /^t-0 delayed as 1-4 id-0 \(acks disk\)\n/)
  const json = await transcript('produce t 1 --delay 5s --json', { client })
  assert.equal((JSON.parse(json.stdout.split('\n')[0] ?? '') as { delayId: string }).delayId, '1-4')
})

void test('what is no delay is wrong usage', async () => {
  for (const [line, what] of [
    ['produce t 1 --delay 5s --at +1h', /give either --delay or --at/],
    ['produce t 1 --at soon', /"soon" is not a time: write .*\+1h for in an hour/],
    ['produce t 1 --at +367d', /--at: "\+367d" is more than 366d ahead/],
    ['produce t 1 --delay 367d', /--delay: "367d" is out of range: write 0 to 366d/],
  ] as const) {
    const { exitCode, stderr } = await transcript(line)
    assert.match(stderr, what)
    assert.equal(exitCode, 2, line)
  }
})

void test('one message and a file exclude each other, and one of them is needed', async () => {
  for (const line of ['produce t', 'produce t 1 --file f']) {
    const { exitCode, stderr } = await transcript(line)
    assert.match(stderr, /give either one message or --file/)
    assert.equal(exitCode, 2)
  }
})
