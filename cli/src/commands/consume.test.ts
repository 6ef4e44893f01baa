import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Stop } from '../stop.ts'
import { FakeClient } from '../testing/fake-client.ts'
import { fakeMessage } from '../testing/fake-message.ts'
import { transcript } from '../testing/fake-surroundings.ts'

const line = {
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
}

void test('a message is one JSON line; bytes are base64 and say so; what is absent is null', async () => {
  const bare = { key: undefined, tag: undefined, headers: { a: 'b' } }
  const client = new FakeClient({
    messages: [
      fakeMessage(),
      fakeMessage({ ...bare, value: Uint8Array.of(0, 255) }),
      fakeMessage({ ...bare, value: 'text' }),
    ],
  })
  const { exitCode, stdout } = await transcript('consume orders --json --until-idle 1s', { client })
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((text): unknown => JSON.parse(text))
  const shared = { ...line, key: null, tag: null, headers: { a: 'b' } }
  assert.deepEqual(lines, [
    line,
    { ...shared, value: 'AP8=', encoding: 'base64' },
    { ...shared, value: 'text' },
  ])
  assert.equal(exitCode, 0)
})

void test('for people, a message is one line that cannot move the cursor', async () => {
  const value = 'two\nlines\u001b[31m'
  const client = new FakeClient({ messages: [fakeMessage({ value, key: 'a\u0007\u009bb' })] })
  const { stdout } = await transcript('consume orders --max 1', { client })
  assert.equal(stdout, 'orders-3@17 2026-01-01T12:00:00.000Z a b paid "two\\nlines\\u001b[31m"\n')
})

void test('the flags of reading reach the consumer', async () => {
  const client = new FakeClient({ messages: [fakeMessage()] })
  await transcript('consume orders --partition 3 --from 17 --filter a --filter b --max 1', {
    client,
  })
  await transcript('consume orders --from -1h --until-idle 3s --commit none', { client })
  const consumers = client.asked
    .filter(({ what }) => what === 'pullConsumer')
    .map(({ given }) => given[0])
  assert.deepEqual(consumers, [
    { partitions: [{ topic: 'orders', partition: 3 }], tags: ['a', 'b'], from: 17 },
    { topics: ['orders'], from: new Date(Date.UTC(2025, 11, 31, 23)) },
  ])
})

void test('it ends at --max, however much there is', async () => {
  const client = new FakeClient({
    messages: Array.from({ length: 3_000 }, (_, offset) => fakeMessage({ offset })),
  })
  const { stdout } = await transcript('consume orders --json --max 2500', { client })
  assert.equal(stdout.trimEnd().split('\n').length, 2_500)
})

void test('being stopped is a good end', async () => {
  const stop = new Stop(() => undefined)
  const client = new FakeClient({ messages: [fakeMessage()] })
  const { exitCode, stderr } = await transcript('consume orders --json', {
    client,
    stop,
    onOutput: () => stop.bySignal(),
  })
  assert.deepEqual([exitCode, stderr], [0, ''])
  assert.equal(client.asked.at(-1)?.what, 'pullConsumer.close')
})

void test('being stopped before it has connected is a good end too', async () => {
  const stop = new Stop(() => undefined)
  stop.bySignal()
  const { exitCode, stderr } = await transcript('consume orders --group g', { stop })
  assert.deepEqual([exitCode, stderr], [0, ''])
})

void test('a reader of stdout that went away is a good end', async () => {
  const stop = new Stop(() => undefined)
  const client = new FakeClient({ messages: [fakeMessage()] })
  const { exitCode, stderr } = await transcript('consume orders --json', {
    client,
    stop,
    onOutput: () => stop.byOutput(),
  })
  assert.deepEqual([exitCode, stderr], [0, ''])
})
