import { mkdtemp, open, rm, stat, statfs } from 'node:fs/promises'
import path from 'node:path'
import type { Clock } from '@popmq/kit'
import { formatSize } from '../size.ts'
import type { Finding } from './finding.ts'

interface DiskOptions {
  readonly folder: string
  readonly syncs: number
  readonly clock: Clock
}

/** Two segments are kept free for cleaning and acks; below that a broker refuses writes. */
const wantedFreeBytes = 4 * 2 ** 30
const slowSyncMs = 50

/** The disk of the data directory, or of the nearest folder above it while it does not exist. */
export async function diskChecks({
  folder,
  syncs,
  clock,
}: DiskOptions): Promise<readonly Finding[]> {
  const place = await nearestFolder(path.resolve(folder))
  try {
    return [await freeCheck(place), await syncCheck({ folder: place, syncs, clock })]
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error)
    return [
      {
        check: 'disk',
        ok: false,
        what,
        mend: 'name a folder that this user may write with --data',
      },
    ]
  }
}

async function freeCheck(folder: string): Promise<Finding> {
  const check = 'disk free'
  const { bavail, bsize } = await statfs(folder)
  const free = bavail * bsize
  const what = `${formatSize(free)} free at ${folder}`
  if (free >= wantedFreeBytes) return { check, ok: true, what }
  return { check, ok: false, what, mend: `free disk space: ${formatSize(wantedFreeBytes)} or more` }
}

async function syncCheck({ folder, syncs, clock }: DiskOptions): Promise<Finding> {
  const check = 'fsync'
  const times = (await measureSyncs({ folder, syncs, clock })).toSorted((a, b) => a - b)
  const p50 = percentile(times, 0.5)
  const p99 = percentile(times, 0.99)
  const what = `${syncs} × write 4 KiB and fdatasync: p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`
  if (p50 < slowSyncMs) return { check, ok: true, what }
  return {
    check,
    ok: false,
    what,
    mend: 'put the data directory on a faster disk: each acknowledged batch waits so long',
  }
}

/** @returns ms of each write and fdatasync of 4 KiB, one behind the other */
async function measureSyncs({ folder, syncs, clock }: DiskOptions): Promise<number[]> {
  const temporary = await mkdtemp(path.join(folder, '.popmq-doctor-'))
  try {
    const file = await open(path.join(temporary, 'sync'), 'w')
    try {
      const block = new Uint8Array(4_096).fill(0x5a)
      const times: number[] = []
      for (let count = 0; count < syncs; count += 1) {
        const startMs = clock.monotonic()
        await file.write(block, 0, block.length, count * block.length)
        await file.datasync()
        times.push(clock.monotonic() - startMs)
      }
      return times
    } finally {
      await file.close()
    }
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
}

/** Nearest rank; `sorted` is not empty. */
export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0
}

async function nearestFolder(folder: string): Promise<string> {
  try {
    if ((await stat(folder)).isDirectory()) return folder
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
  }
  return nearestFolder(path.dirname(folder))
}
