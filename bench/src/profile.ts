import { readFileSync } from 'node:fs'
import { rounded } from './summary.ts'

/** What V8 writes with --cpu-prof, as far as it is read here. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: {
      readonly functionName: string
      readonly url: string
      readonly lineNumber: number
    }
  }[]
  /** µs on the clock that all processes of a machine share. */
  readonly startTime: number
  /** The node that was running at each sample. */
  readonly samples: readonly number[]
  /** µs between each sample and the one before, of the first: and the start. */
  readonly timeDeltas: readonly number[]
}

export interface HotFunction {
  readonly name: string
  /** `folder/file.js:line`, or empty for what is inside Node.js. */
  readonly where: string
  readonly selfMs: number
  /** Of the time that was not idle. */
  readonly share: number
}

/** From one moment to another, in ms as `sharedMs` tells them. */
export interface Span {
  readonly fromMs: number
  readonly toMs: number
}

const idleNames = new Set(['(idle)', '(root)'])

export function readProfile(file: string): CpuProfile {
  return JSON.parse(readFileSync(file, 'utf8')) as CpuProfile
}

/** The functions in which most time was spent themselves, callees not counted; most first. `during`: in these spans. */
export function hottest(
  profile: CpuProfile,
  most: number,
  during?: readonly Span[],
): readonly HotFunction[] {
  const selfUs = selfTimes(profile, during)
  const functions = new Map<string, { name: string; where: string; us: number }>()
  for (const { id, callFrame } of profile.nodes) {
    const us = selfUs.get(id) ?? 0
    const name = callFrame.functionName === '' ? '(anonymous)' : callFrame.functionName
    if (us === 0 || idleNames.has(name)) continue
    const where =
      callFrame.url === '' ? '' : `${shortUrl(callFrame.url)}:${callFrame.lineNumber + 1}`
    const known = functions.get(`${name} ${where}`)
    if (known === undefined) functions.set(`${name} ${where}`, { name, where, us })
    else known.us += us
  }
  const all = [...functions.values()]
  const busyUs = all.reduce((sum, { us }) => sum + us, 0)
  return all
    .toSorted((a, b) => b.us - a.us)
    .slice(0, most)
    .map(({ name, where, us }) => ({
      name,
      where,
      selfMs: Math.round(us / 1_000),
      share: rounded(us / busyUs),
    }))
}

/** µs of each node. The time of a sample lasts until the next one, and counts when it begins inside a span. */
function selfTimes(
  { samples, timeDeltas, startTime }: CpuProfile,
  during: readonly Span[] | undefined,
): Map<number, number> {
  const selfUs = new Map<number, number>()
  let atUs = startTime
  for (const [index, id] of samples.entries()) {
    atUs += timeDeltas[index] ?? 0
    const atMs = atUs / 1_000
    if (during?.some(({ fromMs, toMs }) => fromMs <= atMs && atMs < toMs) === false) continue
    selfUs.set(id, (selfUs.get(id) ?? 0) + (timeDeltas[index + 1] ?? 0))
  }
  return selfUs
}

/** `file:///…/broker/dist/core/log/commit-log.js` as `broker/core/log/commit-log.js`. */
function shortUrl(url: string): string {
  const built = /([^/]+)\/dist\/(.+)$/.exec(url)
  if (built !== null) return `${built[1]}/${built[2]}`
  const installed = /node_modules\/(.+)$/.exec(url)
  return installed?.[1] ?? url
}
