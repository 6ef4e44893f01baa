/**
 * The fewest partitions that must move so that those who are there share all of them evenly. `held` is how many each of
 * them has before: 0 for one who comes; those who go are left out, and what they had must move.
 *
 *   leastMoves([4, 4, 0], 8)   2: three, three and two
 *   leastMoves([3, 3], 8)      2: both that a third member had
 */
export function leastMoves(held: readonly number[], partitions: number): number {
  if (held.length === 0) return 0
  const share = Math.floor(partitions / held.length)
  const withOneMore = partitions % held.length
  // Who has most keeps most.
  const kept = held
    .toSorted((a, b) => b - a)
    .map((count, index) => Math.min(count, index < withOneMore ? share + 1 : share))
  return partitions - kept.reduce((sum, count) => sum + count, 0)
}
