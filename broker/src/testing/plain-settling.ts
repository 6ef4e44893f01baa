import type { SettleResult, SettleVerb } from '@popmq/protocol'
import type { PlainGroup, PlainHandle, PlainMessage } from './plain-delivery.ts'

export interface SettleStep {
  readonly group: number
  readonly verb: SettleVerb
  /** Handles, counted from the newest. */
  readonly picks: readonly number[]
  readonly delayMs: number | undefined
  readonly retriable: boolean
  readonly isForged: boolean
}

/** What a request must be answered, handle by handle; the group is changed as it says. */
export function settleAll(
  group: PlainGroup,
  handles: readonly PlainHandle[],
  step: SettleStep & { readonly nowMs: number },
): { readonly judged: (SettleResult | 'current')[]; readonly expected: SettleResult[] } {
  const seen = new Set<string>()
  const judged = handles.map((handle): SettleResult | 'current' => {
    if (step.isForged) return 'unknown'
    if (handle.group !== group.id) return 'foreign'
    const name = `${handle.partition}:${handle.number}`
    if (seen.has(name)) return 'already'
    const verdict = group.judge(handle)
    // The second good handle of a message is too late; a bad one in front of it is not in its way.
    if (verdict === 'current') seen.add(name)
    return verdict
  })
  const expected = handles.map(({ partition, offset }, index): SettleResult => {
    const verdict = judged[index] ?? 'unknown'
    return verdict === 'current' ? settleOne(group, group.find(partition, offset), step) : verdict
  })
  return { judged, expected }
}

/** How long an extension hides. */
export const extendedMs = 3_000

function settleOne(
  group: PlainGroup,
  message: PlainMessage,
  step: SettleStep & { readonly nowMs: number },
): SettleResult {
  switch (step.verb) {
    case 'ack':
      return group.ack(message)
    case 'nack':
      return group.nack(message, step)
    case 'release':
      return group.release(message)
    case 'extend':
      return group.extend(message, step.nowMs + extendedMs)
  }
}

export function newMessage(partition: number, at: number, tag: string): PlainMessage {
  const value = `${partition}:${at}`
  const counts = { number: at, attempt: 0, expiries: 0, lease: undefined, dueAt: 0 }
  return { value, partition, offset: at, tag, place: 'fresh', ...counts }
}

/** One bit of it is another one. */
export function flipped(lease: Uint8Array): Uint8Array {
  const copy = lease.slice()
  copy[20] = (copy[20] ?? 0) ^ 1
  return copy
}
