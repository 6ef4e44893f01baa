import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, watch } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { type Clock, systemClock } from '@popmq/kit'
import { type CommandEnd, ShellCommands } from './shell-command.ts'

const commands = new ShellCommands(systemClock)
test.after(() => commands.close())

const given = (part: { stdin?: string; signal?: AbortSignal } = {}) => ({
  stdin: 'in\n',
  environment: process.env,
  signal: new AbortController().signal,
  ...part,
})

void test('a command gets its input, and how it ended is told', async () => {
  const end = await commands.run('read line; echo "got $line" >&2; exit 3', given())
  assert.deepEqual(end, { kind: 'exited', exitCode: 3, stderr: 'got in' })
})

void test('a command that does not read, or is not there, breaks nothing', async () => {
  const stdin = 'x'.repeat(1_000_000)
  const unread = await commands.run('exec 0<&-; exit 0', given({ stdin }))
  assert.deepEqual(unread, { kind: 'exited', exitCode: 0, stderr: '' })
  const absent = await commands.run('no-such-command-here', given({ stdin }))
  assert.ok(absent.kind === 'exited' && absent.exitCode === 127, JSON.stringify(absent))
})

void test('what cannot be started is told', async () => {
  const end = await commands.run('true\0', given())
  assert.equal(end.kind, 'not_started')
})

void test('much output on both streams is drained, and the end of stderr is kept', async () => {
  const loud =
    'i=0; while [ $i -lt 3000 ]; do echo "$0 a line that is not short $i"; i=$((i+1)); done'
  const end = await commands.run(`${loud}; { ${loud}; echo last; } >&2; exit 1`, given())
  assert.ok(end.kind === 'exited' && end.exitCode === 1)
  assert.ok(end.stderr.length <= 6_000 && end.stderr.endsWith('not short 2999\nlast'), end.stderr)
})

/** A clock on which time passes so many times as fast. */
const hurried = (factor: number): Clock => ({
  ...systemClock,
  after: (delayMs, callback) => systemClock.after(delayMs / factor, callback),
})

/** Runs a command and aborts it when it says that it is ready. */
async function abortedWhenReady(command: string, clock: Clock): Promise<CommandEnd> {
  const folder = mkdtempSync(path.join(tmpdir(), 'popmq-shell-'))
  const watcher = watch(folder)
  const isReady = once(watcher, 'change')
  const controller = new AbortController()
  const own = new ShellCommands(clock)
  const environment = { ...process.env, READY: path.join(folder, 'ready') }
  const running = own.run(command, { ...given({ signal: controller.signal }), environment })
  await isReady
  watcher.close()
  controller.abort()
  const end = await running
  own.close()
  rmSync(folder, { recursive: true })
  return end
}

void test('aborting ends all that the command started', async () => {
  // Without time it is told only when nobody has its streams any more.
  const timeless = hurried(0.000_01)
  const end = await abortedWhenReady('{ : > "$READY"; sleep 20; echo left >&2; } & wait', timeless)
  assert.deepEqual(end, { kind: 'killed', by: 'SIGTERM', stderr: '' })
})

void test('a command that does not end when it should is killed', async () => {
  const deaf = 'trap "" TERM; : > "$READY"; while :; do sleep 1; done'
  const end = await abortedWhenReady(deaf, hurried(100))
  assert.deepEqual(end, { kind: 'killed', by: 'SIGKILL', stderr: '' })
})

void test('what a command leaves behind holds nobody up', async () => {
  const end = await commands.run('{ sleep 3; echo late >&2; } & echo oops >&2; exit 1', given())
  assert.deepEqual(end, { kind: 'exited', exitCode: 1, stderr: 'oops' })
})
