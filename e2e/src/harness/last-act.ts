/**
 * What must be undone even when the test process is ended from outside: children, mounts, settings of the kernel.
 * An act is synchronous, runs at most once, and the latest runs first.
 */
const acts = new Set<() => void>()
let isArmed = false

/** @returns takes the act back, when it was done in good order */
export function lastAct(act: () => void): () => void {
  if (!isArmed) arm()
  acts.add(act)
  return () => void acts.delete(act)
}

function arm(): void {
  isArmed = true
  process.on('exit', () => {
    for (const act of [...acts].toReversed()) {
      try {
        act()
      } catch (error) {
        process.stderr.write(`could not clean up: ${String(error)}\n`)
      }
    }
  })
  // Without a handler, these end the process and nothing is undone.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => process.exit(1))
  }
}
