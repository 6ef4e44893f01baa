import type { Attempt, TimeMs } from '@popmq/protocol'

/**
 * The right of a consumer to a message, until it is settled or time is up. One lease serves all messages of a run that
 * was handed out at once.
 */
export interface Lease {
  /** Random, 1..2^48−1: names the lease in handles. 0: the message was given back, and nobody has it. */
  readonly nonce: number
  readonly at: TimeMs
  readonly until: TimeMs
  /** Which delivery it is, 1 for the first. */
  readonly attempt: number
  readonly consumer: string
  /** Deliveries of this very copy before it, none of which was answered. */
  readonly earlier: readonly Attempt[]
}

/** What is known of the deliveries of a copy once `lease` is over without an answer. */
export function unanswered(
  { at, until, attempt, consumer, earlier }: Lease,
  nowMs: TimeMs,
): Attempt[] {
  const heldMs = Math.max(0, Math.min(until, nowMs) - at)
  return [...earlier, { n: attempt, at, heldMs, outcome: 'expired', ...named(consumer) }]
}

/** The lease of a message that was given back: its delivery does not count. */
export function givenBack({ attempt, earlier }: Lease, nowMs: TimeMs): Lease {
  return { nonce: 0, at: nowMs, until: nowMs, attempt: attempt - 1, consumer: '', earlier }
}

/** The earlier deliveries of a message that had `before` and gets another lease, is given back or taken back. */
export function earlierThan(
  before: Lease,
  { nonce, at, attempt }: Pick<Lease, 'nonce' | 'at' | 'attempt'>,
): Lease['earlier'] {
  if (before.nonce === nonce || before.nonce === 0) return before.earlier
  // Given back: the delivery does not count. Taken away: it does, and nobody has answered it.
  if (nonce === 0 && attempt < before.attempt) return before.earlier
  return unanswered(before, at)
}

/** A consumer's name as an attempt tells it. */
export function named(consumer: string): { readonly consumer?: string } {
  return consumer === '' ? {} : { consumer }
}
