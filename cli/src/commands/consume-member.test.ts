import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MqError } from '@popmq/protocol'
import { Stop } from '../stop.ts'
import { FakeClient } from '../testing/fake-client.ts'
import { fakeMessage } from '../testing/fake-message.ts'
import { transcript } from '../testing/fake-surroundings.ts'

const two = [fakeMessage({ offset: 17 }), fakeMessage({ offset: 18 })]

/** What was asked, without callbacks. */
function askedOf(client: FakeClient) {
  return client.asked.map(({ what, given }) => {
    const plain = given.map((value): unknown => JSON.parse(JSON.stringify(value)))
    return plain.length === 0 ? what : [what, ...plain]
  })
}

void test('a member commits what was printed after it was printed, then leaves', async () => {
  const client = new FakeClient({ messages: two })
  let printedFirst = false
  const { exitCode, stdout } = await transcript('consume orders --group g --json --until-idle 1s', {
    client,
    onOutput: () => (printedFirst = client.asked.every(({ what }) => what !== 'commit')),
  })
  assert.equal(stdout.trimEnd().split('\n').length, 2)
  assert.equal(printedFirst, true)
  assert.deepEqual(askedOf(client), [
    ['pullConsumer', { group: 'g', topics: ['orders'], from: 'earliest', commit: 'manual' }],
    'commit',
    'pullConsumer.close',
  ])
  assert.equal(exitCode, 0)
})

void test('the flags of membership reach the consumer', async () => {
  const client = new FakeClient()
  await transcript(
    'consume orders --group g --member a --broadcast --filter x --from latest --until-idle 1s',
    { client },
  )
  await transcript('consume orders --group g --commit none --until-idle 1s', { client })
  const consumers = askedOf(client).filter(([what]) => what === 'pullConsumer')
  const shared = { group: 'g', topics: ['orders'], commit: 'manual' }
  assert.deepEqual(consumers, [
    ['pullConsumer', { ...shared, member: 'a', broadcast: true, tags: ['x'], from: 'latest' }],
    ['pullConsumer', { ...shared, drainMs: 0, retries: false, from: 'earliest' }],
  ])
})

void test('nothing is committed with --commit none, nor by a broadcast member without a name', async () => {
  for (const flags of ['--commit none', '--broadcast']) {
    const client = new FakeClient({ messages: two })
    const { stdout } = await transcript(`consume orders --group g ${flags} --until-idle 1s`, {
      client,
    })
    assert.equal(stdout.trimEnd().split('\n').length, 2)
    assert.ok(
      client.asked.every(({ what }) => what !== 'commit'),
      flags,
    )
  }
})

void test('what a reader of stdout did not take is not committed', async () => {
  const stop = new Stop(() => undefined)
  const client = new FakeClient({ messages: two })
  const { exitCode } = await transcript('consume orders --group g --json', {
    client,
    stop,
    onOutput: () => stop.byOutput(),
  })
  assert.equal(exitCode, 0)
  assert.deepEqual(
    client.asked.map(({ what }) => what),
    ['pullConsumer', 'pullConsumer.close'],
  )
})

void test('a partition that was taken is a warning, another refusal ends the command', async () => {
  const refused = (name: 'grant_fenced' | 'offset_out_of_range') => async () => {
    const client = new FakeClient({
      messages: two,
      onCommit: async () => {
        throw new MqError(name, 'orders-3')
      },
    })
    return transcript('consume orders --group g --json --until-idle 1s', { client })
  }
  const taken = await refused('grant_fenced')()
  assert.equal(taken.exitCode, 0)
  assert.match(taken.stderr, /warn not_committed error="error grant_fenced: orders-3/)
  const wrong = await refused('offset_out_of_range')()
  assert.equal(wrong.exitCode, 1)
  assert.match(wrong.stderr, /^error offset_out_of_range: orders-3/)
})

void test('flags that need a group, and those that do not go with one, are wrong usage', async () => {
  const expected: [string, RegExp][] = [
    ['consume t --commit auto', /--commit auto goes with --group/],
    ['consume t --member a', /--member goes with --group/],
    ['consume t --broadcast', /--broadcast goes with --group/],
    ['consume t --group g --partition 1', /--partition does not go with --group/],
    ['consume t --group g --commit manual', /--commit: write auto or none/],
    ['consume t --group g --from x', /"x" is not a time/],
  ]
  for (const [line, what] of expected) {
    const { exitCode, stderr } = await transcript(line)
    assert.match(stderr, what)
    assert.equal(exitCode, 2, line)
  }
})
