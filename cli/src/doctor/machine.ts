import { readFileSync } from 'node:fs'
import { type Clock, sleep } from '@popmq/kit'
import type { Finding } from './finding.ts'

const leastNode = [20, 19] as const

export function nodeCheck(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const ok = major > leastNode[0] || (major === leastNode[0] && minor >= leastNode[1])
  const what = `Node.js ${version}, ${leastNode.join('.')} or later is needed`
  return ok
    ? { check: 'node', ok, what }
    : { check: 'node', ok, what, mend: 'install a newer Node.js' }
}

const wantedFiles = 4_096

/** Each connection and each log segment is an open file. */
export function fileLimitCheck(limitsFile = '/proc/self/limits'): Finding {
  const check = 'open files'
  const soft = readSoftLimit(limitsFile)
  if (soft === undefined) return { check, ok: true, what: 'the limit is unknown on this system' }
  const what = `this process may open ${soft === Number.POSITIVE_INFINITY ? 'any number of' : soft} files`
  if (soft >= wantedFiles) return { check, ok: true, what }
  return {
    check,
    ok: false,
    what,
    mend: `raise it to ${wantedFiles} or more: ulimit -n ${wantedFiles}`,
  }
}

function readSoftLimit(limitsFile: string): number | undefined {
  let text
  try {
    text = readFileSync(limitsFile, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error) return undefined
    throw error
  }
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(text)?.[1]
  if (soft === undefined) return undefined
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft)
}

/** Four stuck disk writes would freeze DNS, crypto and zlib: the command asks for more, unless the user set another number. */
export function threadPoolCheck(threads = process.env['UV_THREADPOOL_SIZE'] ?? '4'): Finding {
  const check = 'thread pool'
  const ok = Number(threads) > 4
  const what = `${threads} threads for disk, DNS, crypto and zlib`
  return ok ? { check, ok, what } : { check, ok, what, mend: 'set UV_THREADPOOL_SIZE to 16' }
}

const measureMs = 250
const mostDriftMs = 50

/** Durations are measured on the monotonic clock: a wall clock that runs at another speed is being corrected or wrong. */
export async function clockCheck(clock: Clock): Promise<Finding> {
  const check = 'clock'
  const wallMs = clock.now()
  const monotonicMs = clock.monotonic()
  await sleep(clock, measureMs)
  const driftMs = Math.round(clock.now() - wallMs - (clock.monotonic() - monotonicMs))
  const what = `wall clock ${new Date(clock.now()).toISOString()}, drift ${driftMs} ms in ${measureMs} ms`
  if (Math.abs(driftMs) > mostDriftMs)
    return { check, ok: false, what, mend: 'look at the time synchronisation of this machine' }
  if (wallMs < earliestMs)
    return { check, ok: false, what, mend: 'set the clock: it is in the past' }
  return { check, ok: true, what }
}

/** PopMQ is not older than this. */
const earliestMs = Date.UTC(2025, 0, 1)
