import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline/promises'
import { type Clock, systemClock } from '@popmq/kit'
import type { Client, ConnectOptions } from '@popmq/client'
import { type Input, openInput } from './input.ts'
import { errorLine } from './output.ts'
import { Stop } from './stop.ts'
import { streamSink, type TextSink } from './text-sink.ts'

/** The world around a command, as an argument: tests bring their own. */
export interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  readonly stdout: TextSink
  readonly stderr: TextSink
  readonly stop: Stop
  /** @returns undefined when there is no such file */
  readonly readText: (path: string) => string | undefined
  /** A file, or stdin for `-`. */
  openInput(path: string): Promise<Input>
  /** Asks on a terminal. @returns whether the answer was yes; undefined where there is no terminal */
  ask(question: string): Promise<boolean | undefined>
  connect(servers: string, options: ConnectOptions): Promise<Client>
}

/** The world of this process. Its signals ask the command to stop. */
export function processSurroundings(): Surroundings {
  const stop = new Stop((code) => process.exit(code))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.bySignal())
  const stderr = streamSink(process.stderr, () => stop.byOutput())
  const stdout = streamSink(process.stdout, (error) => {
    if (error !== undefined) void stderr.write(`${errorLine(error)}\n`)
    stop.byOutput()
  })
  return {
    environment: process.env,
    clock: systemClock,
    stdout,
    stderr,
    stop,
    readText,
    openInput,
    ask,
    // The client is loaded when it is needed: `popmq --version` and wrong usage answer without it.
    connect: async (servers, options) => {
      const { connect } = await import('@popmq/client')
      return connect(servers, options)
    },
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

async function ask(question: string): Promise<boolean | undefined> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return undefined
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await lines.question(`${question} [y/N] `)
    return /^y(?:es)?$/i.test(answer.trim())
  } finally {
    lines.close()
  }
}
