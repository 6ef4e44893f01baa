import type { Command } from 'commander'
import { deferred } from '@popmq/kit'
import { isMqError, type MqError } from '@popmq/protocol'
import type { PoppedMessage, WorkContext } from '@popmq/client'
import type { Invocation } from '../invocation.ts'
import { messageLine } from '../message-line.ts'
import { errorLine, oneLine } from '../output.ts'
import { type CommandEnd, ShellCommands } from '../shell-command.ts'
import { type Act, asOption } from '../usage.ts'
import { wholeNumber } from '../whole-number.ts'

export function addWorkCommand(program: Command, act: Act): void {
  program
    .command('work')
    .description('run a command on each message of a topic, until stopped')
    .argument('<topic>')
    .requiredOption('--group <group>', 'the group that pops; made by its first use')
    .requiredOption('--exec <command>', 'run by the shell, once for each message')
    .option(
      '--concurrency <n>',
      `so many commands at once (default ${defaultConcurrency})`,
      asOption(wholeNumber(1, 10_000)),
    )
    .addHelpText('after', commandHelp)
    .action(act(work))
}

const defaultConcurrency = 4
/** Of <sysexits.h>: the data is wrong, trying again is of no use. */
const dataErrorExit = 65

const commandHelp = `
The command reads the message from stdin: one line of JSON, as pop --json prints it, without the handle.
Its environment has POPMQ_TOPIC, POPMQ_ATTEMPT (1 for the first delivery) and POPMQ_MESSAGE_ID.
  exit 0          the message is acked
  exit ${dataErrorExit}         (EX_DATAERR) trying again is of no use: it goes to the dead letters at once
  any other       it comes again after the group's back-off, and is dead after maxAttempts; also 75 (EX_TEMPFAIL),
                  a signal, and when the command cannot be started
The error that is kept has the type "exit N" (or the signal), and the last line that was written to stderr. What is
written to stdout is dropped. While a command runs, its message stays hidden from the others; if it is lost all the
same, the command gets SIGTERM, and SIGKILL 5 s later.
SIGINT and SIGTERM: no more messages are taken, and running commands have 30 s to end.
With --json one line is printed per message: {"id","topic","partition","offset","attempt","result","ms"}, where result
is done (exit 0), failed, rejected (exit ${dataErrorExit}), or when the end did not count: lost (to another consumer) or
released (stopped); with "error" {"type","message"} for failed and rejected.`

interface WorkFlags {
  readonly group: string
  readonly exec: string
  readonly concurrency?: number
}

const drainMs = 30_000
/** With these no message will ever come. */
const hopeless = [
  'topic_not_found',
  'subscription_conflict',
  'invalid_name',
  'invalid_request',
] as const

async function work(invocation: Invocation, topic: string, flags: WorkFlags): Promise<void> {
  const { group, exec, concurrency = defaultConcurrency } = flags
  const { signal } = invocation
  const commands = new ShellCommands(invocation.clock)
  const handling = new Set<Promise<void>>()
  const over = deferred<MqError | undefined>()
  const stop = (): void => over.resolve(undefined)
  try {
    const client = await invocation.connect()
    const worker = client.worker(
      {
        group,
        topics: [topic],
        concurrency,
        onError: (error, message) => {
          tellError(invocation, error, message)
          if (message === undefined && isMqError(error, ...hopeless)) over.resolve(error)
        },
      },
      (message, context) => {
        const handled = handle(invocation, { commands, exec, message, context }).finally(() =>
          handling.delete(handled),
        )
        handling.add(handled)
        return handled
      },
    )
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    const error = await over.promise
    await worker.close({ withinMs: drainMs })
    // Those that were not waited for have been asked to end.
    await Promise.allSettled(handling)
    if (error !== undefined) throw error
  } catch (error) {
    if (!(signal.aborted && isMqError(error, 'aborted'))) throw error
  } finally {
    signal.removeEventListener('abort', stop)
    commands.close()
  }
}

interface Handling {
  readonly commands: ShellCommands
  readonly exec: string
  readonly message: PoppedMessage
  readonly context: WorkContext
}

/** @throws the failure that the message is nacked with */
async function handle(
  invocation: Invocation,
  { commands, exec, message, context }: Handling,
): Promise<void> {
  const { clock, surroundings } = invocation
  const startedMs = clock.monotonic()
  const given = {
    stdin: `${JSON.stringify(messageLine(message))}\n`,
    environment: {
      ...surroundings.environment,
      POPMQ_TOPIC: message.topic,
      POPMQ_ATTEMPT: String(context.attempt),
      POPMQ_MESSAGE_ID: message.id,
    },
    signal: context.signal,
  }
  let end = await commands.run(exec, given)
  // A signal from the terminal meets a command that is not yet in a group of its own: it had not begun.
  if (isStopped(end) && invocation.signal.aborted && !context.signal.aborted)
    end = await commands.run(exec, given)
  const failure = failureOf(end)
  const ms = Math.round(clock.monotonic() - startedMs)
  await print(invocation, { message, result: resultOf(context.signal, failure), failure, ms })
  if (failure !== undefined) throw failure
}

function isStopped(end: CommandEnd): boolean {
  return end.kind === 'killed' && (end.by === 'SIGINT' || end.by === 'SIGTERM')
}

/** An error as `nack` tells it. */
type CommandFailure = Error & { readonly type: string; readonly retriable: boolean }

/** @returns undefined when the command did what it should */
function failureOf(end: CommandEnd): CommandFailure | undefined {
  switch (end.kind) {
    case 'exited':
      if (end.exitCode === 0) return undefined
      return failure(`exit ${end.exitCode}`, end.stderr, end.exitCode !== dataErrorExit)
    case 'killed':
      return failure(end.by, end.stderr, true)
    case 'not_started':
      return failure('not started', end.error.message, true)
  }
}

function failure(type: string, output: string, retriable: boolean): CommandFailure {
  const lines = output.split('\n')
  const last = lines.at(-1)?.trim() ?? ''
  const error = new Error(last === '' ? 'nothing was written to stderr' : last)
  // What was written before the last line, in the place of a stack of ours, which would tell nothing.
  error.stack = lines.length > 1 ? output : ''
  return Object.assign(error, { type, retriable })
}

type Result = 'done' | 'failed' | 'rejected' | 'lost' | 'released'

function resultOf(signal: AbortSignal, failed: CommandFailure | undefined): Result {
  if (signal.aborted) return isMqError(signal.reason, 'closed') ? 'released' : 'lost'
  if (failed === undefined) return 'done'
  return failed.retriable ? 'failed' : 'rejected'
}

interface Finished {
  readonly message: PoppedMessage
  readonly result: Result
  readonly failure: CommandFailure | undefined
  readonly ms: number
}

async function print({ output }: Invocation, finished: Finished): Promise<void> {
  const { message, result, ms } = finished
  const { id, topic, partition, offset, attempt } = message
  const isTold = result === 'failed' || result === 'rejected'
  const told = isTold ? finished.failure : undefined
  const error = told === undefined ? {} : { error: { type: told.type, message: told.message } }
  await output.object({ id, topic, partition, offset, attempt, result, ms, ...error }, () => {
    const why = told === undefined ? '' : `: ${told.type}: ${told.message}`
    return oneLine(`${topic}-${partition}@${offset} attempt ${attempt} ${result} in ${ms}ms${why}`)
  })
}

function tellError(invocation: Invocation, error: MqError, message?: PoppedMessage): void {
  const log = invocation.log('warn')
  if (message === undefined) log.warn('not_popped', { error: errorLine(error) })
  else log.warn('not_settled', { id: message.id, error: errorLine(error) })
}
