import { hashOfText } from '@popmq/protocol'

/** What becomes of a delivery. */
export type Fate =
  | 'ack'
  /** Acknowledged after its lease is over. */
  | 'late'
  /** Hidden for longer first. */
  | 'extend'
  | 'release'
  /** Another consumer acknowledges it. */
  | 'hand_over'
  | 'nack'
  /** Given up at once. */
  | 'reject'
  | 'silent'

/** Shares of messages, of 100. */
const shares: readonly (readonly [share: number, fateOf: (attempt: number, k: number) => Fate])[] =
  [
    [52, () => 'ack'],
    [6, () => 'late'],
    [7, () => 'extend'],
    [7, () => 'hand_over'],
    // Fails a few times.
    [9, (attempt, k) => (attempt <= k ? 'nack' : 'ack')],
    // Poison.
    [6, () => 'nack'],
    [4, () => 'reject'],
    [6, (attempt, k) => (attempt <= k ? 'silent' : 'ack')],
    // Its consumer hangs each time.
    [3, () => 'silent'],
  ]

/** A rule on the message: the same for whoever gets it. A drawn number in 0..3 lets releases end. */
export function fateOf(
  { group, value, attempt }: { group: number; value: string; attempt: number },
  drawn: number,
): Fate {
  const hash = mixed(hashOfText(`${group} ${value}`))
  let place = hash % 100
  for (const [share, fate] of shares) {
    if (place >= share) {
      place -= share
      continue
    }
    const made = fate(attempt, 1 + (Math.floor(hash / 100) % 3))
    return made === 'ack' && isReleased(hash, drawn) ? 'release' : made
  }
  return 'ack'
}

/** A few are given back now and then. */
function isReleased(hash: number, drawn: number): boolean {
  return Math.floor(hash / 1_000) % 8 === 0 && drawn === 0
}

/** Neighbouring texts differ in few bits. */
function mixed(hash: number): number {
  const once = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  return (once ^ (once >>> 13)) >>> 0
}
