import type { Log, LogFields } from '@popmq/kit'
import type { Trace } from './trace.ts'

/** A process's log goes into the trace: what it noticed is part of what must be the same each time. */
export function nodeLog(node: string, trace: Trace): Log {
  const write = (event: string, fields: LogFields = {}): void => {
    const words = Object.entries(fields).map(([name, value]) => `${name}=${String(value)}`)
    trace.event(node, event, ...words)
  }
  return { error: write, warn: write, info: write, debug: write }
}
