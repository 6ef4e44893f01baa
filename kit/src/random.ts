/** Randomness as an argument. The seeded one is in `@popmq/kit/testing`. */
export interface Random {
  /** A float in [0, 1). */
  next(): number
  /** Fills `target` and returns it. */
  fill(target: Uint8Array): Uint8Array
}

/** Asking the system costs microseconds, however little is asked for: short fills share what one call gave. */
const shared = new Uint8Array(4_096)
let sharedUsed = shared.length
const longBytes = 64

/** The randomness of the machine: `fill` is fit for secrets, `next` is not. */
export const systemRandom: Random = {
  next: () => Math.random(),
  fill: (target) => {
    if (target.length > longBytes) return crypto.getRandomValues(target)
    if (sharedUsed + target.length > shared.length) {
      crypto.getRandomValues(shared)
      sharedUsed = 0
    }
    for (let at = 0; at < target.length; at += 1) {
      target[at] = shared[sharedUsed] ?? 0
      // What was given away is kept nowhere.
      shared[sharedUsed] = 0
      sharedUsed += 1
    }
    return target
  },
}

/** A whole number in [low, high]. */
export function between(random: Random, low: number, high: number): number {
  return low + Math.floor(random.next() * (high - low + 1))
}
