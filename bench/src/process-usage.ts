import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { isMqError, MqError } from '@popmq/client'
import { rounded } from './summary.ts'

/** What a process has used so far, as the kernel counts it. */
export interface ProcessUsage {
  readonly atMs: number
  /** On a processor, of all its threads. */
  readonly cpuMs: number
  readonly rssBytes: number
}

const nsPerMs = 1e6
const missing = 'what a process uses is read from /proc, with schedstat: this system has none'

/** Undefined where usage can be read, else why not. */
export function whyNoUsage(): string | undefined {
  return existsSync('/proc/self/schedstat') ? undefined : missing
}

/** @throws MqError `unreachable` when the process is gone, or the system does not tell */
export async function processUsage(pid: number): Promise<ProcessUsage> {
  const why = whyNoUsage()
  if (why !== undefined) throw new MqError('unreachable', why)
  const [tasks, status] = await Promise.all([
    read(`/proc/${pid}/task`, (path) => readdir(path)),
    read(`/proc/${pid}/status`, (path) => readFile(path, 'utf8')),
  ])
  const ran = await Promise.all(tasks.map((task) => ranNs(`/proc/${pid}/task/${task}/schedstat`)))
  const cpuMs = ran.reduce((sum, ns) => sum + ns, 0) / nsPerMs
  return { atMs: performance.now(), cpuMs, rssBytes: parseRss(status) }
}

/**
 * The most that was resident since the process started; undefined on a system that does not tell.
 * @throws MqError `unreachable` when the process is gone
 */
export async function peakRssBytes(pid: number): Promise<number | undefined> {
  if (!existsSync('/proc/self/status')) return undefined
  return parsePeakRss(await read(`/proc/${pid}/status`, (path) => readFile(path, 'utf8')))
}

/** How much of one processor was used between the two, in percent. */
export function cpuPercent(from: ProcessUsage, to: ProcessUsage): number {
  return rounded((100 * (to.cpuMs - from.cpuMs)) / Math.max(1, to.atMs - from.atMs))
}

/** Of `/proc/…/status`. @throws MqError `unreachable` for a process that has ended */
export function parseRss(status: string): number {
  return parseBytes(/^VmRSS:\s+(\d+) kB$/m.exec(status))
}

/** Of `/proc/…/status`. @throws MqError `unreachable` for a process that has ended */
export function parsePeakRss(status: string): number {
  return parseBytes(/^VmHWM:\s+(\d+) kB$/m.exec(status))
}

function parseBytes(line: RegExpExecArray | null): number {
  if (line === null) throw new MqError('unreachable', 'a process that has ended uses nothing')
  return Number(line[1]) * 1_024
}

/** Of `/proc/…/schedstat`: the time on a processor, in ns, comes first. */
export function parseRanNs(schedstat: string): number {
  return Number(schedstat.split(' ', 1)[0])
}

/** A thread may end while the others are read. */
async function ranNs(path: string): Promise<number> {
  try {
    return parseRanNs(await read(path, (from) => readFile(from, 'utf8')))
  } catch (error) {
    if (isMqError(error, 'unreachable')) return 0
    throw error
  }
}

async function read<T>(path: string, by: (path: string) => Promise<T>): Promise<T> {
  try {
    return await by(path)
  } catch (error) {
    throw new MqError('unreachable', `${path} cannot be read`, { cause: error })
  }
}
