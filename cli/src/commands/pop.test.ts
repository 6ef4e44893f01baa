import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MqError } from '@popmq/protocol'
import { Stop } from '../stop.ts'
import { FakeClient } from '../testing/fake-client.ts'
import { fakePopped } from '../testing/fake-message.ts'
import { transcript } from '../testing/fake-surroundings.ts'

const batch = (...offsets: number[]) => offsets.map((offset) => fakePopped({ offset }))

/** What was asked, without what consumers were made and closed. */
function asked(client: FakeClient, what: string): unknown[] {
  return client.asked.filter((each) => each.what === what).map(({ given }) => given[0])
}

void test('a popped message is one JSON line with its handle, and is acked', async () => {
  const client = new FakeClient({ popped: [batch(17)] })
  const { exitCode, stdout, stderr } = await transcript(
    'pop orders --group mail --ack --max 1 --json',
    { client },
  )
  assert.deepEqual(JSON.parse(stdout), {
    topic: 'orders',
    partition: 3,
    offset: 17,
    id: '019b75a0-0000-7000-8000-000000000001',
    key: 'o-17',
    tag: 'paid',
    value: { total: 42 },
    headers: {},
    attempt: 1,
    appendedAt: Date.UTC(2026, 0, 1, 12),
    handle: 'h-17',
  })
  assert.deepEqual(asked(client, 'ack'), [['h-17']])
  assert.deepEqual([exitCode, stderr], [0, ''])
})

void test('a message is acked only after its line is written', async () => {
  const steps: string[] = []
  const client = new FakeClient({
    popped: [batch(1, 2)],
    onSettle: (verb, handle) => {
      steps.push(`${verb} ${handle}`)
      return 'acked'
    },
  })
  await transcript('pop orders --group mail --ack --max 2', {
    client,
    onOutput: (text) => void steps.push(text.trimEnd().replaceAll(/^orders-3@(\d+).*$/gm, '$1')),
  })
  assert.deepEqual(steps, ['1\n2', 'ack h-1', 'ack h-2'])
})

void test('what a reader that went away may not have taken is released', async () => {
  const stop = new Stop(() => undefined)
  const client = new FakeClient({ popped: [batch(1, 2)] })
  const { exitCode } = await transcript('pop orders --group mail --ack', {
    client,
    stop,
    onOutput: () => stop.byOutput(),
  })
  assert.deepEqual([asked(client, 'ack'), asked(client, 'release')], [[], [['h-1', 'h-2']]])
  assert.equal(exitCode, 0)
})

void test('being stopped is a good end: what was printed is acked, what was not is released', async () => {
  const stop = new Stop(() => undefined)
  const long = fakePopped({ offset: 1, value: 'x'.repeat(300_000) })
  const client = new FakeClient({ popped: [[long, ...batch(2, 3)]] })
  const { exitCode, stderr } = await transcript('pop orders --group mail --ack', {
    client,
    stop,
    onOutput: () => stop.bySignal(),
  })
  assert.deepEqual([asked(client, 'ack'), asked(client, 'release')], [[['h-1']], [['h-2', 'h-3']]])
  assert.deepEqual([exitCode, stderr], [0, ''])
  assert.equal(client.asked.at(-1)?.what, 'popConsumer.close')
})

void test('being stopped before it has connected is a good end too', async () => {
  const stop = new Stop(() => undefined)
  stop.bySignal()
  const { exitCode, stderr } = await transcript('pop orders --group g --hold', { stop })
  assert.deepEqual([exitCode, stderr], [0, ''])
})

void test('--nack tells why, and when it is to come again', async () => {
  const client = new FakeClient({ popped: [batch(1)] })
  const words = ['pop', 'orders', '--group', 'g', '--nack', 'no stock', '--delay', '10s']
  await transcript([...words, '--max', '1'], { client })
  const nack = client.asked.find(({ what }) => what === 'nack')
  assert.deepEqual(nack?.given, [['h-1'], { error: 'no stock', delayMs: 10_000 }])
})

void test('--hold settles nothing, and shows the handles to people too', async () => {
  const client = new FakeClient({ popped: [batch(1)] })
  const { stdout } = await transcript('pop orders --group g --hold --max 1', { client })
  assert.match(stdout, /^orders-3@1 .* \{"total":42\} h-1\n$/)
  assert.deepEqual(
    client.asked.filter(({ what }) => ['ack', 'nack', 'release'].includes(what)),
    [],
  )
})

void test('the flags of popping reach the consumer', async () => {
  const client = new FakeClient({ popped: [batch(1, 2)] })
  await transcript('pop orders --group g --ack --invisible 1m --wait 3s --max 5', { client })
  assert.deepEqual(asked(client, 'popConsumer'), [
    { group: 'g', topics: ['orders'], settleWithinMs: 30_000, invisibleMs: 60_000 },
  ])
  assert.deepEqual(asked(client, 'receive'), [
    { max: 5, waitMs: 3_000 },
    { max: 3, waitMs: 3_000 },
  ])
})

void test('it ends at --max in total', async () => {
  const client = new FakeClient({ popped: [batch(1, 2), batch(3), batch(4)] })
  const { stdout } = await transcript('pop orders --group g --ack --max 3 --json', { client })
  assert.equal(stdout.trimEnd().split('\n').length, 3)
  assert.equal(asked(client, 'receive').length, 2)
})

void test('with --max it ends at an empty wait, without it goes on until idle', async () => {
  const once = new FakeClient({ popped: [batch(1), [], batch(2)] })
  const { exitCode } = await transcript('pop orders --group g --ack --max 9', { client: once })
  assert.deepEqual([exitCode, asked(once, 'ack')], [0, [['h-1']]])

  const popped = [batch(1), [], batch(2), [], []]
  const idle = new FakeClient({ popped })
  await transcript('pop orders --group g --ack --until-idle 30s', { client: idle })
  assert.deepEqual(asked(idle, 'ack'), [['h-1'], ['h-2']])
  const waits = asked(idle, 'receive').map((how) => (how as { waitMs: number }).waitMs)
  assert.deepEqual(waits, [20_000, 20_000, 10_000, 20_000, 10_000])
})

void test('the shorter of --wait and --until-idle ends it', async () => {
  const client = new FakeClient({ popped: [[], batch(1)] })
  await transcript('pop orders --group g --ack --max 2 --wait 5s --until-idle 1m', { client })
  await transcript('pop orders --group g --ack --max 2 --wait 1m --until-idle 5s', { client })
  const waits = asked(client, 'receive').map((how) => (how as { waitMs: number }).waitMs)
  assert.deepEqual(waits, [5_000, 5_000])
})

void test('why nothing was popped is told', async () => {
  const client = new FakeClient({ lastReason: 'paused' })
  const { exitCode, stderr } = await transcript('pop orders --group g --ack --max 1', { client })
  assert.match(stderr, /warn nothing_popped reason="paused"/)
  assert.equal(exitCode, 0)
})

void test('that no broker answers is no idleness; with --max it is a failure after the whole wait', async () => {
  const outage = new MqError('unreachable', 'no broker answers')
  const endless = new FakeClient({ popped: [[], outage, outage, [], batch(1)] })
  const ended = await transcript('pop orders --group g --ack --until-idle 25s', { client: endless })
  assert.deepEqual([ended.exitCode, asked(endless, 'ack')], [0, [['h-1']]])
  assert.match(ended.stderr, /warn not_answered error="error unreachable: no broker answers/)

  const once = new FakeClient({ popped: [outage, outage, batch(1)] })
  const failed = await transcript('pop orders --group g --ack --max 1', { client: once })
  assert.match(failed.stderr, /^error unreachable: no broker answers/)
  assert.deepEqual([failed.exitCode, asked(once, 'receive').length], [1, 1])

  const gone = new FakeClient({ popped: [new MqError('topic_not_found', 'no topic "orders"')] })
  const { exitCode, stderr } = await transcript('pop orders --group g --ack', { client: gone })
  assert.match(stderr, /^error topic_not_found/)
  assert.equal(exitCode, 1)
})

void test('what could not be acked is told; only what may be our fault ends with 1', async () => {
  const results = { 'h-1': 'acked', 'h-2': 'expired', 'h-3': 'failed' } as const
  const onSettle = (_verb: string, handle: string) => results[handle as keyof typeof results]
  const late = new FakeClient({ popped: [batch(1, 2)], onSettle })
  const told = await transcript('pop orders --group g --ack --max 2', { client: late })
  assert.match(told.stderr, /warn not_acked expired=1\n$/)
  assert.equal(told.exitCode, 0)
  const lost = new FakeClient({ popped: [batch(1, 2, 3)], onSettle })
  const failed = await transcript('pop orders --group g --ack --max 3', { client: lost })
  assert.match(failed.stderr, /warn not_acked expired=1 failed=1\n$/)
  assert.equal(failed.exitCode, 1)
})

void test('a value that cannot be read ends it, and gives the batch back', async () => {
  const broken = fakePopped({ offset: 2 })
  Object.defineProperty(broken, 'value', {
    get: () => {
      throw new MqError('corrupt_record', 'the value is not JSON')
    },
  })
  const client = new FakeClient({ popped: [[...batch(1), broken]] })
  const { exitCode, stderr } = await transcript('pop orders --group g --ack', { client })
  assert.match(stderr, /^error corrupt_record/)
  assert.deepEqual(
    [exitCode, asked(client, 'ack'), asked(client, 'release')],
    [1, [], [['h-1', 'h-2']]],
  )
})

void test('one of --ack, --nack and --hold is needed, and what does not go together is named', async () => {
  const expected: [string, RegExp][] = [
    ['pop t --ack', /required option '--group <group>'/],
    ['pop t --group g', /exactly one of --ack, --nack and --hold: there is none/],
    ['pop t --group g --ack --hold', /exactly one of .*: there are 2/],
    ['pop t --group g --ack --delay 5s', /--delay goes with --nack/],
    ['pop t --group g --ack --invisible 13h', /--invisible: "13h" is out of range/],
    ['pop t --group g --ack --untli-idle 3s', /unknown option --untli-idle .*--until-idle\?/],
    ['pop t --group g --ack --max 0', /--max: "0" is not a whole number/],
  ]
  for (const [line, what] of expected) {
    const { exitCode, stderr } = await transcript(line)
    assert.match(stderr, what)
    assert.equal(exitCode, 2, line)
  }
})
