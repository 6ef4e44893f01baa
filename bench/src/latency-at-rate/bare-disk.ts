/** A process that does nothing but write and fdatasync: what no queue on this disk can be faster than. */
import { fdatasyncSync, openSync, writeSync } from 'node:fs'
import { present } from '@popmq/kit'
import { sharedMs } from '../monotonic.ts'
import { takePart } from '../participant.ts'
import { LatencyHistogram } from './latency-histogram.ts'
import { rest, Schedule } from './schedule.ts'
import type { BareGiven, BareSynced } from './sides.ts'

/** Records of one write, at most. */
const mostAtOnce = 10_000
const leadMs = 5
let descriptor: number | undefined

takePart({
  connect: ({ file }: { file: string }) => {
    descriptor = openSync(file, 'w')
    return Promise.resolve({})
  },
  /** Writes and syncs all that is due, again and again: from when each record was due to the end of its sync. */
  atRate: async ({
    rate,
    sizeBytes,
    records,
  }: BareGiven & { rate: number }): Promise<BareSynced> => {
    const slab = new Uint8Array(mostAtOnce * sizeBytes).fill(0x61)
    const startMs = sharedMs() + leadMs
    const schedule = new Schedule({ startMs, perSecond: rate, count: records })
    const synced = new LatencyHistogram()
    let done = 0
    while (done < records) {
      const due = Math.min(schedule.dueBy(sharedMs()), done + mostAtOnce)
      if (due === done) {
        await rest(schedule.atMs(done))
        continue
      }
      append(slab.subarray(0, (due - done) * sizeBytes))
      const syncedMs = sharedMs()
      for (; done < due; done += 1) synced.record(syncedMs - schedule.atMs(done))
    }
    return { synced: synced.encode() }
  },
  /** One record after the other: from before its write to the end of its sync. */
  oneByOne: ({ sizeBytes, records }: BareGiven): Promise<BareSynced> => {
    const bytes = new Uint8Array(sizeBytes).fill(0x61)
    const synced = new LatencyHistogram()
    for (let record = 0; record < records; record += 1) {
      const startedMs = sharedMs()
      append(bytes)
      synced.record(sharedMs() - startedMs)
    }
    return Promise.resolve({ synced: synced.encode() })
  },
})

function append(bytes: Uint8Array): void {
  const file = present(descriptor, 'connect comes before writing')
  // A measurement that cannot write is over: short writes are one kind of that.
  if (writeSync(file, bytes) !== bytes.length)
    throw new Error('the disk took only a part of a write')
  fdatasyncSync(file)
}
