import { readFile, readlink } from 'node:fs/promises'
import { errorCode } from './disk-error.ts'

/** One process, told apart from a later one with the same number. What the machine does not tell is ''. */
export interface ProcessIdentity {
  readonly pid: number
  /** When it started, in clock ticks since the machine did. */
  readonly startedAt: string
  /** The boot of the machine in which `pid` and `startedAt` mean something. */
  readonly boot: string
  /** The container, as it were, in which `pid` means something. */
  readonly pidNamespace: string
}

/** `elsewhere`: in another container on this machine, where its number tells us nothing. */
export type Liveness = 'alive' | 'dead' | 'elsewhere'

export async function ownIdentity(): Promise<ProcessIdentity> {
  const stat = await processStat('self')
  return {
    pid: process.pid,
    startedAt: stat?.startedAt ?? '',
    boot: await orNothing(readFile('/proc/sys/kernel/random/boot_id', 'utf8')),
    pidNamespace: await orNothing(readlink('/proc/self/ns/pid')),
  }
}

/** Whether the process still runs. Where there is no /proc only its number is known, so one that was reused counts as it. */
export async function livenessOf(other: ProcessIdentity, own: ProcessIdentity): Promise<Liveness> {
  if (other.boot !== own.boot) return 'dead'
  if (other.pidNamespace !== own.pidNamespace) return 'elsewhere'
  const stat = await processStat(String(other.pid))
  if (stat === undefined) return numberIsTaken(other.pid) ? 'alive' : 'dead'
  return stat.startedAt === other.startedAt && !stat.ended ? 'alive' : 'dead'
}

function numberIsTaken(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: it runs as another user.
    return errorCode(error) !== 'ESRCH'
  }
}

/**
 * `/proc/<pid>/stat`: `pid (name) state …`, where the name may hold spaces and brackets, and field 22 is the start.
 * A process in state Z or X has ended and only waits for its parent to hear of it; its files are closed.
 */
async function processStat(
  pid: string,
): Promise<{ startedAt: string; ended: boolean } | undefined> {
  const text = await orNothing(readFile(`/proc/${pid}/stat`, 'utf8'))
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const startedAt = fields[19]
  return startedAt === undefined ? undefined : { startedAt, ended: /^[ZX]/.test(fields[0] ?? '') }
}

/** Reads what not every machine has. */
async function orNothing(reading: Promise<string>): Promise<string> {
  try {
    const text = await reading
    return text.trim()
  } catch (error) {
    if (error instanceof Error) return ''
    throw error
  }
}
