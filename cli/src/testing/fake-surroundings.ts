import type { Clock } from '@popmq/kit'
import { MqError } from '@popmq/protocol'
import { run } from '../run.ts'
import { Stop } from '../stop.ts'
import type { Surroundings } from '../surroundings.ts'
import type { FakeClient } from './fake-client.ts'

export interface FakeOptions {
  readonly client?: FakeClient
  readonly environment?: Readonly<Record<string, string>>
  /** Files by name; `-` is stdin. */
  readonly files?: Readonly<Record<string, string>>
  /** What is answered on the terminal; undefined: there is none. */
  readonly answer?: boolean
  readonly stop?: Stop
  readonly clock?: Clock
  /** Told of each write to stdout. */
  readonly onOutput?: (text: string) => void
}

export interface Transcript {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** A clock that stands still. */
const standing: Clock = {
  now: () => Date.UTC(2026, 0, 1),
  monotonic: () => 0,
  after: (_delayMs, callback) => {
    queueMicrotask(callback)
    return { cancel: () => undefined }
  },
}

/** Runs a command line in a made-up world. */
export async function transcript(
  line: string | readonly string[],
  options: FakeOptions = {},
): Promise<Transcript> {
  const written = { stdout: '', stderr: '' }
  const sink = (name: 'stdout' | 'stderr') => ({
    isTerminal: false,
    write: async (text: string) => {
      written[name] += text
      if (name === 'stdout') options.onOutput?.(text)
    },
    flush: async () => options.stop?.reason !== 'output',
  })
  const { files = {}, client } = options
  const surroundings: Surroundings = {
    environment: options.environment ?? {},
    clock: options.clock ?? standing,
    stdout: sink('stdout'),
    stderr: sink('stderr'),
    stop: options.stop ?? new Stop(() => undefined),
    readText: (path) => files[path],
    openInput: async (path) => {
      const text = files[path]
      if (text === undefined) throw new MqError('invalid_request', `"${path}" cannot be read`)
      return { chunks: oneChunk(text), totalBytes: text.length }
    },
    ask: async () => options.answer,
    connect: async (servers, { signal }) => {
      if (signal?.aborted === true) throw new MqError('aborted', 'the caller stopped waiting')
      if (client === undefined) throw new MqError('unreachable', `nothing answers at ${servers}`)
      return client.asClient()
    },
  }
  const args = typeof line === 'string' ? line.split(' ') : line
  const exitCode = await run(args, { surroundings, version: '1.2.3' })
  return { exitCode, ...written }
}

async function* oneChunk(text: string): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(new TextEncoder().encode(text))
}
