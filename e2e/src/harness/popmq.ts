import path from 'node:path'
import { type Ended, type JsonLine, jsonLines, Program, type ProgramOptions } from './program.ts'
import { within } from './waiting.ts'

/** The top of the repository, from e2e/dist/harness. */
export const repository = path.resolve(import.meta.dirname, '../../..')
const bin = path.join(repository, 'cli/bin/popmq.js')

export interface PopmqOptions extends ProgramOptions {
  /** Coordinators, for `--server`. */
  readonly server?: string
  /** A program and its arguments that is to run popmq: `['strace', '-f']`. */
  readonly under?: readonly string[]
}

export interface CliResult extends Ended {
  /** The objects on stdout; empty when it is not JSON. */
  readonly lines: readonly JsonLine[]
}

/** Starts `popmq …`; `--json` and `--server` are added. */
export function startPopmq(
  args: readonly string[],
  { server, under = [], ...options }: PopmqOptions = {},
): Program {
  const flags = server === undefined ? ['--json'] : ['--json', '--server', server]
  const words = [...under, process.execPath, bin, ...args, ...flags]
  const [command = process.execPath, ...rest] = words
  return new Program(command, rest, options)
}

/** Runs `popmq …` to its end, whatever that is. */
export async function popmq(
  args: readonly string[],
  options: PopmqOptions & { readonly withinMs?: number } = {},
): Promise<CliResult> {
  const { withinMs = 60_000, ...rest } = options
  const program = startPopmq(args, rest)
  try {
    return toResult(
      await within(program.ended, { what: `popmq ${args.join(' ')} to end`, withinMs }),
    )
  } catch (error) {
    program.signal('SIGKILL')
    throw error
  }
}

export function toResult(ended: Ended): CliResult {
  return { ...ended, lines: ended.stdout.startsWith('{') ? jsonLines(ended.stdout) : [] }
}
