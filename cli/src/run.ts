import { Command, CommanderError } from 'commander'
import { isMqError } from '@popmq/protocol'
import { commandTree } from './command-tree.ts'
import { Invocation } from './invocation.ts'
import { errorLine } from './output.ts'
import { type CommonFlags, readSettings } from './settings.ts'
import type { Surroundings } from './surroundings.ts'
import type { Act } from './usage.ts'
import { wrongUsageLine } from './wrong-usage.ts'

/** 0 it was done, 1 it was refused or failed, 2 wrong usage. */
export type ExitCode = 0 | 1 | 2

export interface RunOptions {
  readonly surroundings: Surroundings
  readonly version: string
}

/** Runs one command line, without `node popmq` in front. Nothing is thrown: errors are a line on stderr. */
export async function run(
  args: readonly string[],
  { surroundings, version }: RunOptions,
): Promise<ExitCode> {
  const { stderr, stop } = surroundings
  let exitCode: ExitCode = 0
  let faulty: Command | undefined
  const actWith =
    (flags: () => CommonFlags): Act =>
    (body) =>
    async (...given) => {
      faulty = given.find((value) => value instanceof Command)
      // A config file that cannot be used is wrong usage; what the command itself meets is not.
      exitCode = 2
      const settings = readSettings({ ...surroundings, flags: flags() })
      exitCode = 1
      const invocation = new Invocation(settings, surroundings)
      try {
        await body(invocation, ...given)
      } finally {
        await invocation.close()
      }
      exitCode = invocation.exitCode
    }
  const program = commandTree(version, actWith)
  prepare(program, surroundings, (command) => {
    faulty = command
  })
  try {
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0
      if (error.code !== 'commander.help') {
        await stderr.write(`${wrongUsageLine(error, faulty ?? program)}\n`)
      }
      return 2
    }
    if (stop.reason === 'output') return 0
    await stderr.write(`${errorLine(error)}\n`)
    if (!isMqError(error) && error instanceof Error) await stderr.write(`${error.stack ?? ''}\n`)
  }
  return stop.reason === 'output' ? 0 : exitCode
}

/** Makes each command of the tree throw instead of ending the process, and write to our sinks. */
function prepare(
  command: Command,
  surroundings: Surroundings,
  onFault: (command: Command) => void,
): void {
  const { stdout, stderr } = surroundings
  command
    .exitOverride((error) => {
      onFault(command)
      throw error
    })
    .configureOutput({
      writeOut: (text) => void stdout.write(text),
      writeErr: (text) => void stderr.write(text),
      outputError: () => undefined,
    })
    .showSuggestionAfterError(false)
  for (const inner of command.commands) prepare(inner, surroundings, onFault)
}
