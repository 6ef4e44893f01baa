import type { Problems } from './problems.ts'

/** What Node or a broken invariant leaves on stderr. */
const trace =
  /unhandled|uncaught|AssertionError|broken invariant|FATAL ERROR|MaxListenersExceeded|^\s+at \S.*:\d+:\d+\)?$/i

/** Looks through all that the processes wrote for signs of errors that nobody handled. */
export function tellTraces(output: string, problems: Problems): void {
  for (const line of output.split('\n')) {
    if (trace.test(line)) problems.tell('process', line.trim())
  }
}
