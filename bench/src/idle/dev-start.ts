import { mkdtemp, rm } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { cpuPercent, processUsage } from '../process-usage.ts'
import { ServerProcess } from '../server-process.ts'
import { median, rounded } from '../summary.ts'

/** `popmq dev` with nobody connected. */
export interface DevStart {
  /** From the start of the process until it says that it is ready: the median of `starts`. */
  readonly readyMs: number
  readonly starts: readonly number[]
  /** At the end of the idle time. */
  readonly rssBytes: number
  /** Of one processor, while idle. */
  readonly cpuPercent: number
}

const starts = 3
/** What is done once behind a start is not idling. */
const restMs = 1_000

export async function measureDev({
  popmq,
  data,
  idleMs,
}: {
  popmq: string
  data: string
  idleMs: number
}): Promise<DevStart> {
  const tookMs: number[] = []
  let idled = { rssBytes: 0, cpuPercent: 0 }
  for (let start = 1; start <= starts; start += 1) {
    const folder = await mkdtemp(path.join(data, 'dev-'))
    const server = await ServerProcess.start({ popmq, data: folder, nodeFlags: [] })
    try {
      tookMs.push(rounded(server.readyMs))
      if (start === starts) idled = await idle(server.pid, idleMs)
    } finally {
      await server.close()
      await rm(folder, { recursive: true, force: true })
    }
  }
  return { readyMs: median(tookMs), starts: tookMs, ...idled }
}

async function idle(
  pid: number,
  idleMs: number,
): Promise<Pick<DevStart, 'rssBytes' | 'cpuPercent'>> {
  await setTimeout(Math.min(restMs, idleMs))
  const from = await processUsage(pid)
  await setTimeout(idleMs)
  const to = await processUsage(pid)
  return { rssBytes: to.rssBytes, cpuPercent: cpuPercent(from, to) }
}
