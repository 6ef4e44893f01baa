import type { Admin } from '@popmq/client'
import { readPages, sumOf } from '../metrics-page.ts'
import { rounded } from '../summary.ts'

/** Of all brokers together, as their metrics tell; with `popmq dev` the coordinator's work is in it, too. */
export interface BrokerWork {
  readonly cpuSeconds: number
  /** Of the log, read back from files: what is new is served from memory. */
  readonly diskReadBytes: number
  /** Of the log: the fewer, the more messages shared one, and the requests around it. */
  readonly syncs: number
}

export function parseWork(pages: readonly string[]): BrokerWork {
  return {
    cpuSeconds: sumOf('process_cpu_seconds_total', pages),
    diskReadBytes: sumOf('popmq_broker_disk_read_bytes', pages),
    syncs: sumOf('popmq_broker_log_syncs', pages),
  }
}

export async function readWork(admin: Pick<Admin, 'cluster'>): Promise<BrokerWork> {
  const { brokers } = await admin.cluster()
  return parseWork(
    await readPages(brokers.filter(({ alive }) => alive).map((broker) => broker.address)),
  )
}

export function workBetween(earlier: BrokerWork, later: BrokerWork): BrokerWork {
  return {
    cpuSeconds: rounded(later.cpuSeconds - earlier.cpuSeconds),
    diskReadBytes: later.diskReadBytes - earlier.diskReadBytes,
    syncs: later.syncs - earlier.syncs,
  }
}

export function sumOfWork(works: readonly BrokerWork[]): BrokerWork {
  const nothing: BrokerWork = { cpuSeconds: 0, diskReadBytes: 0, syncs: 0 }
  return works.reduce(
    (sum, { cpuSeconds, diskReadBytes, syncs }) => ({
      cpuSeconds: rounded(sum.cpuSeconds + cpuSeconds),
      diskReadBytes: sum.diskReadBytes + diskReadBytes,
      syncs: sum.syncs + syncs,
    }),
    nothing,
  )
}

/** µs of processor time for each of so many messages. */
export function cpuUsEach({ cpuSeconds }: Pick<BrokerWork, 'cpuSeconds'>, count: number): number {
  return rounded((cpuSeconds * 1e6) / Math.max(1, count))
}
