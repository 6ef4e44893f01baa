import type { MeasuredPath } from './path.ts'
import { peakRssBytes } from './process-usage.ts'

/** What the measured server had resident at most, from its start on, beside what is aimed at. */
export interface ServerMemory {
  readonly peakRssBytes: number
  /** The most that it should be. */
  readonly mostRssBytes: number
}

const mostRssBytes = 300_000_000

/** @returns undefined of a running cluster, and where the system does not tell */
export async function serverMemory({
  pids,
}: Pick<MeasuredPath, 'pids'>): Promise<ServerMemory | undefined> {
  if (pids.server === undefined) return undefined
  const bytes = await peakRssBytes(pids.server)
  return bytes === undefined ? undefined : { peakRssBytes: bytes, mostRssBytes }
}
