/** Randomness as an argument. The seeded one is in `@popmq/kit/testing`. */
export interface Random {
  /** A float in [0, 1). */
  next(): number
  /** Fills `target` and returns it. */
  fill(target: Uint8Array): Uint8Array
}

/** The randomness of the machine: `fill` is fit for secrets, `next` is not. */
export const systemRandom: Random = {
  next: () => Math.random(),
  fill: (target) => {
    crypto.getRandomValues(target)
    return target
  },
}

/** A whole number in [low, high]. */
export function between(random: Random, low: number, high: number): number {
  return low + Math.floor(random.next() * (high - low + 1))
}
