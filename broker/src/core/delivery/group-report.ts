import {
  type GroupId,
  type Offset,
  offset,
  partitionOfKey,
  type PartitionKey,
  type PartitionState,
  type TimeMs,
  topicOfKey,
} from '@popmq/protocol'
import type { Delivery } from './delivery.ts'
import type { GroupDispatch } from './group-dispatch.ts'
import type { PartitionDispatch } from './partition-dispatch.ts'
import type { Retry } from './retries.ts'

export interface GroupReportParts {
  readonly delivery: Delivery
  readonly bounds: (key: PartitionKey) => { readonly low: Offset; readonly high: Offset }
  /** When a message of a partition was appended; undefined when it cannot be read. */
  readonly appendedAt: (key: PartitionKey, offset: Offset) => Promise<TimeMs | undefined>
  readonly letters: (group: GroupId, key: PartitionKey) => LetterCounts
}

/** Dead letters that come from one partition. */
export interface LetterCounts {
  readonly open: number
  /** Discarded, or let go with their time. */
  readonly left: number
  /** When the oldest open one was first appended. */
  readonly oldestAt: TimeMs | undefined
}

interface RetryCounts {
  waiting: number
  leased: number
  oldestWaitingAt: TimeMs | undefined
  oldestLeasedAt: TimeMs | undefined
}

/**
 * Where the messages of these partitions are for a group, judged at one commit position: each is in exactly one state. A
 * pulled partition tells what was retried and what died; its progress is known to the coordinator.
 */
export async function reportGroup(
  group: GroupDispatch,
  keys: readonly PartitionKey[],
  parts: GroupReportParts,
): Promise<PartitionState[]> {
  const retries = countRetries(group)
  const counted = keys.map((key) => countPartition({ group, key }, retries.get(key), parts))
  // Ages afterwards: they may need pages from disk, and the counts must be of one moment.
  const states: PartitionState[] = []
  for (const each of counted) states.push({ ...each.state, ...(await agesOf(each, parts)) })
  return states
}

interface Counted {
  readonly key: PartitionKey
  readonly state: PartitionState
  readonly readyFrom: Offset | undefined
  readonly leasedFrom: Offset | undefined
}

function countPartition(
  { group, key }: { readonly group: GroupDispatch; readonly key: PartitionKey },
  retries: RetryCounts | undefined,
  parts: GroupReportParts,
): Counted {
  const { low, high } = parts.bounds(key)
  const letters = parts.letters(group.id, key)
  const head = { topicId: topicOfKey(key), partition: partitionOfKey(key), low, high, parked: 0 }
  const failed = {
    retrying: retries?.waiting ?? 0,
    dead: letters.open,
    ...timed('oldestRetryingAt', retries?.oldestWaitingAt),
    ...timed('oldestDeadAt', letters.oldestAt),
    ...timed('oldestLeasedAt', retries?.oldestLeasedAt),
  }
  if (group.topic(head.topicId)?.mode !== 'pop') {
    const state = {
      ...head,
      ...failed,
      leased: retries?.leased ?? 0,
      ready: 0,
      acked: 0,
      skipped: letters.left,
    }
    return { key, state, readyFrom: undefined, leasedFrom: undefined }
  }
  const view = parts.delivery.find(group.id, key)
  const partition = group.partition(key)
  const next = view?.next ?? 0
  // Before anything is in the log the group stands where it will begin; what is below the horizon it passes by.
  const from = Math.max(next, low, view === undefined ? partition.cursor : 0)
  const { held, free, firstHeld, firstFree } = countOpen(partition, view?.open.keys() ?? [])
  const ahead = view?.ahead.size ?? 0
  const ready = Math.max(0, high - from - ahead) + free
  const leased = held + (retries?.leased ?? 0)
  const skipped = (view?.skipped ?? 0) + (from - next) + letters.left
  const acked = high - ready - leased - failed.retrying - failed.dead - skipped
  const readyFrom = ready === 0 ? undefined : (firstFree ?? offset(Math.max(from, low)))
  const state = { ...head, ...failed, ready, leased, acked, skipped }
  return { key, state, readyFrom, leasedFrom: firstHeld }
}

function countOpen(
  { book }: PartitionDispatch,
  open: Iterable<Offset>,
): {
  readonly held: number
  readonly free: number
  readonly firstHeld: Offset | undefined
  readonly firstFree: Offset | undefined
} {
  let [held, free] = [0, 0]
  let firstHeld: Offset | undefined
  let firstFree: Offset | undefined
  for (const number of open) {
    if (book.free.has(number)) {
      free += 1
      firstFree ??= number
    } else {
      held += 1
      firstHeld ??= number
    }
  }
  return { held, free, firstHeld, firstFree }
}

function countRetries(group: GroupDispatch): Map<PartitionKey, RetryCounts> {
  const counts = new Map<PartitionKey, RetryCounts>()
  for (const retry of group.retries.all()) {
    const there = counts.get(retry.key) ?? {
      waiting: 0,
      leased: 0,
      oldestWaitingAt: undefined,
      oldestLeasedAt: undefined,
    }
    counts.set(retry.key, there)
    if (isLeased(group, retry)) {
      there.leased += 1
      there.oldestLeasedAt = older(there.oldestLeasedAt, retry.firstAppendedAt)
    } else {
      there.waiting += 1
      there.oldestWaitingAt = older(there.oldestWaitingAt, retry.firstAppendedAt)
    }
  }
  return counts
}

function isLeased(group: GroupDispatch, { number, lease }: Retry): boolean {
  return lease !== undefined && lease.nonce !== 0 && !group.retries.book.free.has(number)
}

async function agesOf(
  { key, state, readyFrom, leasedFrom }: Counted,
  { appendedAt }: GroupReportParts,
): Promise<Pick<PartitionState, 'oldestReadyAt' | 'oldestLeasedAt'>> {
  const ready = readyFrom === undefined ? undefined : await appendedAt(key, readyFrom)
  const leased = leasedFrom === undefined ? undefined : await appendedAt(key, leasedFrom)
  return {
    ...timed('oldestReadyAt', ready),
    ...timed('oldestLeasedAt', older(state.oldestLeasedAt, leased)),
  }
}

function older(a: TimeMs | undefined, b: TimeMs | undefined): TimeMs | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return Math.min(a, b)
}

function timed<Name extends string>(
  name: Name,
  at: TimeMs | undefined,
): { readonly [N in Name]?: TimeMs } {
  return at === undefined ? {} : ({ [name]: at } as { readonly [N in Name]?: TimeMs })
}
