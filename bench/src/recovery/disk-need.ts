import { statfs } from 'node:fs/promises'
import { MqError } from '@popmq/client'

const mebibyte = 1_048_576
/** Headers of records, index files, checkpoints. */
const overhead = 1.25
/** Of load before each stop. */
const loadMegabytes = 500
/** The broker keeps some segments free; one has 1 GiB, on a small disk a 32nd of it. */
const segmentsKept = 4
const largestSegment = 1_024 * mebibyte

/** What a measurement writes, and what must be left beside it. */
export function neededBytes(
  { megabytes, stops }: { readonly megabytes: number; readonly stops: number },
  { totalBytes }: { readonly totalBytes: number },
): number {
  const written = (megabytes + stops * loadMegabytes) * 1e6 * overhead
  return Math.ceil(written + segmentsKept * Math.min(largestSegment, totalBytes / 32))
}

/** @throws MqError `disk_full` when it does not fit into what is free there */
export async function checkDisk(
  folder: string,
  asked: { readonly megabytes: number; readonly stops: number },
): Promise<void> {
  const { bsize, blocks, bavail } = await statfs(folder)
  const needed = neededBytes(asked, { totalBytes: blocks * bsize })
  const free = bavail * bsize
  if (free >= needed) return
  const inMegabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`
  throw new MqError(
    'disk_full',
    `${asked.megabytes} MB of log need ${inMegabytes(needed)}, and ${folder} has ${inMegabytes(free)} free: ` +
      'ask for less (--megabytes), or measure elsewhere (--data)',
  )
}
