import type { Problems } from './problems.ts'

/** What Node or a broken invariant leaves on stderr. A line of our own log is one object and is not looked into. */
const trace =
  /unhandled|uncaught|AssertionError|FATAL ERROR|MaxListenersExceeded|^\s+at \S.*:\d+:\d+\)?$/i

/** Looks through all that the processes wrote for signs of errors that nobody handled. */
export function tellTraces(output: string, problems: Problems): void {
  for (const line of output.split('\n')) {
    if (!line.startsWith('{') && trace.test(line)) problems.tell('process', line.trim())
  }
}
