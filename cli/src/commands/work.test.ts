import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '@popmq/kit'
import { MqError } from '@popmq/protocol'
import { Stop } from '../stop.ts'
import { FakeClient, type FakeClientOptions } from '../testing/fake-client.ts'
import { fakePopped } from '../testing/fake-message.ts'
import { type Transcript, transcript } from '../testing/fake-surroundings.ts'

interface Worked extends Transcript {
  readonly client: FakeClient
  /** What handlers threw, by offset. */
  readonly thrown: Map<number, unknown>
  readonly lines: Record<string, unknown>[]
}

/** Runs `exec` on the messages, and stops when all are handled. */
async function worked(
  exec: string,
  options: FakeClientOptions,
  ...flags: string[]
): Promise<Worked> {
  const stop = new Stop(() => undefined)
  const thrown = new Map<number, unknown>()
  const count = (options.popped ?? []).flat().length
  const client = new FakeClient({
    ...options,
    onHandled: ({ offset }, error) => {
      thrown.set(offset, error)
      if (thrown.size === count) stop.bySignal()
    },
  })
  const told = await transcript(
    ['work', 'orders', '--group', 'mail', '--exec', exec, '--json', ...flags],
    { client, stop, clock: systemClock, environment: { PATH: process.env['PATH'] ?? '' } },
  )
  const lines = told.stdout.split('\n').filter((line) => line !== '')
  const parsed = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  return { ...told, client, thrown, lines: parsed }
}

const one = { popped: [[fakePopped({ attempt: 2 })]] }

void test('a command gets the message on stdin, and its place in the environment', async () => {
  const exec = 'read line; echo "$line $POPMQ_TOPIC $POPMQ_ATTEMPT $POPMQ_MESSAGE_ID" >&2; exit 1'
  const { thrown } = await worked(exec, one)
  const { message } = thrown.get(17) as Error
  const [, json = '', environment] = /^(\{.*\}) (.*)$/.exec(message) ?? []
  assert.deepEqual(JSON.parse(json), {
    topic: 'orders',
    partition: 3,
    offset: 17,
    id: '019b75a0-0000-7000-8000-000000000001',
    key: 'o-17',
    tag: 'paid',
    value: { total: 42 },
    headers: {},
    attempt: 2,
    appendedAt: Date.UTC(2026, 0, 1, 12),
  })
  assert.equal(environment, 'orders 2 019b75a0-0000-7000-8000-000000000001')
})

void test('exit 0 is done: nothing is thrown, and one line is printed', async () => {
  const { thrown, lines, exitCode, stderr } = await worked('cat', one)
  assert.deepEqual([thrown.get(17), exitCode, stderr], [undefined, 0, ''])
  const [{ ms, ...line } = {}] = lines
  assert.deepEqual(line, {
    id: '019b75a0-0000-7000-8000-000000000001',
    topic: 'orders',
    partition: 3,
    offset: 17,
    attempt: 2,
    result: 'done',
  })
  assert.ok(typeof ms === 'number' && Number.isInteger(ms))
})

void test('another exit is a failure with the last line of stderr; 65 is not retried', async () => {
  const exec =
    'read line; echo one >&2; echo two >&2; case $line in *\\"offset\\":1,*) exit 65;; esac; exit 75'
  const popped = [[fakePopped({ offset: 1 }), fakePopped({ offset: 2 })]]
  const { thrown, lines } = await worked(exec, { popped })
  const told = (offset: number) => {
    const { type, message, stack, retriable } = thrown.get(offset) as Error &
      Record<string, unknown>
    return { type, message, stack, retriable }
  }
  const error = { message: 'two', stack: 'one\ntwo' }
  assert.deepEqual(told(1), { ...error, type: 'exit 65', retriable: false })
  assert.deepEqual(told(2), { ...error, type: 'exit 75', retriable: true })
  const results = lines.map((line) => [line['offset'], line['result'], line['error']])
  results.sort(([a], [b]) => Number(a) - Number(b))
  assert.deepEqual(results, [
    [1, 'rejected', { type: 'exit 65', message: 'two' }],
    [2, 'failed', { type: 'exit 75', message: 'two' }],
  ])
})

void test('a signal, and a command that cannot be started, are failures too', async () => {
  const killed = await worked('kill -9 $$', one)
  const { type, message, stack } = killed.thrown.get(17) as Error & { type: string }
  assert.deepEqual([type, message, stack], ['SIGKILL', 'nothing was written to stderr', ''])
  const absent = await worked('true\0', one)
  const error = absent.thrown.get(17) as Error & { type: string; retriable: boolean }
  assert.deepEqual([error.type, error.retriable], ['not started', true])
  assert.match(error.message, /null bytes/)
})

void test('for people a finished message is one line', async () => {
  const stop = new Stop(() => undefined)
  const client = new FakeClient({ ...one, onHandled: () => stop.bySignal() })
  const { stdout } = await transcript(
    ['work', 'orders', '--group', 'mail', '--exec', 'echo "no \u001b[2Jstock" >&2; exit 4'],
    { client, stop, clock: systemClock },
  )
  assert.match(stdout, /^orders-3@17 attempt 2 failed in \d+ms: exit 4: no stock\n$/)
})

void test('when the end does not count, it is told why and the command is ended', async () => {
  for (const [name, result] of [
    ['closed', 'released'],
    ['timed_out', 'lost'],
  ] as const) {
    const workSignal = AbortSignal.abort(new MqError(name, 'over'))
    const { lines, thrown } = await worked('sleep 60', { ...one, workSignal })
    assert.equal(lines[0]?.['result'], result)
    assert.equal((thrown.get(17) as { type?: string }).type, 'SIGTERM')
  }
})

void test('being stopped drains: running commands end, and it ends with 0', async () => {
  const { client, exitCode } = await worked('true', one, '--concurrency', '8')
  assert.equal(exitCode, 0)
  const asked = client.asked.map(({ what, given }) => [what, given[0]])
  assert.deepEqual(asked, [
    ['worker', { group: 'mail', topics: ['orders'], concurrency: 8 }],
    ['worker.close', { withinMs: 30_000 }],
  ])
  const stop = new Stop(() => undefined)
  stop.bySignal()
  const early = await transcript('work orders --group g --exec true', { stop })
  assert.deepEqual([early.exitCode, early.stderr], [0, ''])
})

void test('where no message will ever come it ends with 1, an outage is waited for', async () => {
  const gone = new MqError('topic_not_found', 'no topic "orders"')
  const client = new FakeClient({ workError: gone })
  const ended = await transcript('work orders --group g --exec true', { client })
  assert.match(ended.stderr, /error topic_not_found: no topic "orders"/)
  assert.deepEqual([ended.exitCode, client.asked.at(-1)?.what], [1, 'worker.close'])
  const workError = new MqError('unreachable', 'no broker answers')
  const { exitCode, stderr, thrown } = await worked('true', { ...one, workError })
  assert.deepEqual([exitCode, thrown.size], [0, 1])
  assert.match(stderr, /warn not_popped error="error unreachable: no broker answers/)
})

void test('what work does not take is wrong usage', async () => {
  const expected: [string, RegExp][] = [
    ['work t --group g', /required option '--exec <command>'/],
    ['work t --exec true', /required option '--group <group>'/],
    ['work t --group g --exec true --concurrency 0', /--concurrency: "0" is not a whole number/],
    ['work t --group g --exce true', /unknown option --exce .*--exec\?/],
  ]
  for (const [line, what] of expected) {
    const { exitCode, stderr } = await transcript(line)
    assert.match(stderr, what)
    assert.equal(exitCode, 2, line)
  }
  const { stdout } = await transcript('work --help')
  assert.match(stdout, /exit 65 .*trying again is of no use/)
})
