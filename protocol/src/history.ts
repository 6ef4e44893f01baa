import { decodeFields, encodeFields } from './body.ts'
import { MqError } from './errors.ts'
import { type Checked, list, object, oneOf, optional, text, whole } from './fields.ts'
import { limits } from './limits.ts'
import type { TimeMs } from './numbers.ts'
import { prescan } from './prescan.ts'

/** How a delivery ended. `released` ones count no attempt and are not told. */
export const attemptOutcomes = ['nack', 'expired', 'rejected'] as const
export type AttemptOutcome = (typeof attemptOutcomes)[number]

/** A failure as the consumer tells it. Clients shorten what is longer than allowed. */
export const failure = object({
  /** The name of the error's class: `TypeError`. */
  type: optional(text(limits.errorTypeBytes)),
  message: optional(text(limits.errorBytes)),
  stack: optional(text(limits.errorBytes)),
})
export type Failure = Checked<typeof failure>

/** One delivery that did not end in an ack. */
export const attempt = object({
  /** 1 for the first delivery. */
  n: whole(1),
  /** When the message was handed out. */
  at: whole<TimeMs>(),
  /** Who had it, as it named itself. */
  consumer: optional(text(limits.errorTypeBytes)),
  heldMs: whole(),
  outcome: oneOf(...attemptOutcomes),
  /** 12 hexadecimal digits; absent when no error was told. */
  fingerprint: optional(text(12)),
  error: optional(failure),
})
export type Attempt = Checked<typeof attempt>

const attempts = list(attempt, 2_000)

/**
 * The `history` section of a copy: the failed deliveries, oldest first. The first and the last are told whole, of those
 * between only fingerprint and times, and when even that is too long, of the newest: it has at most `limits.historyBytes`.
 */
export function encodeHistory(all: readonly Attempt[]): Uint8Array {
  const last = all.length - 1
  let told = all.map((each, index) => {
    const { error: _left, ...times } = each
    return index === 0 || index === last ? each : times
  })
  for (;;) {
    const bytes = encodeFields({ attempts: told })
    if (bytes.length <= limits.historyBytes) return bytes
    // The first stays, the oldest between it and the newest goes.
    told = [...told.slice(0, 1), ...told.slice(1 + Math.ceil(told.length / 4))]
  }
}

/** @returns the failed deliveries, oldest first. @throws MqError `corrupt_record` for bytes that tell none */
export function decodeHistory(bytes: Uint8Array): readonly Attempt[] {
  try {
    if (prescan(bytes, 0, { depth: 5, items: limits.requestItems }) !== bytes.length)
      throw new MqError('corrupt_record', 'bytes follow the history of a record')
    return attempts((decodeFields(bytes) as { attempts?: unknown }).attempts, 'attempts')
  } catch (cause) {
    throw new MqError('corrupt_record', 'the history of a record cannot be read', { cause })
  }
}
