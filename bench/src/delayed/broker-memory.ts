import type { Admin } from '@popmq/client'
import { readPages, sumOf } from '../metrics-page.ts'

/** Of all brokers together, as their metrics tell. */
export interface Memory {
  readonly rssBytes: number
  /** Of the heap, and outside of it: what is in use, garbage included. */
  readonly usedBytes: number
  /** Messages that wait for their time. */
  readonly delayed: number
}

export function parseMemory(pages: readonly string[]): Memory {
  return {
    rssBytes: sumOf('process_resident_memory_bytes', pages),
    usedBytes:
      sumOf('nodejs_heap_size_used_bytes', pages) + sumOf('nodejs_external_memory_bytes', pages),
    delayed: sumOf('popmq_broker_delayed_messages', pages),
  }
}

export async function readMemory(admin: Pick<Admin, 'cluster'>): Promise<Memory> {
  const { brokers } = await admin.cluster()
  return parseMemory(
    await readPages(brokers.filter(({ alive }) => alive).map((broker) => broker.address)),
  )
}

/** Bytes per message that is pending in `later` and was not in `earlier`. */
export function growthPerMessage(
  earlier: Memory,
  later: Memory,
): { readonly rssBytes: number; readonly usedBytes: number } {
  const count = Math.max(1, later.delayed - earlier.delayed)
  return {
    rssBytes: Math.round((later.rssBytes - earlier.rssBytes) / count),
    usedBytes: Math.round((later.usedBytes - earlier.usedBytes) / count),
  }
}
