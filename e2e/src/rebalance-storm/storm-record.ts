import type { GroupMember, GroupRebalance } from '@popmq/client'

/** What was seen of a storm: rebalances as the coordinator recorded them, grants as it told them, and what members met. */
export class StormRecord {
  readonly #rebalances = new Map<number, GroupRebalance>()
  /** `partition@epoch` → who held it. */
  readonly #grants = new Map<string, string>()
  readonly #received = new Map<string, number>()
  readonly #revokes = new Map<number, number>()
  lostCount = 0

  readonly ledger = {
    received: (partition: number, offset: number): void => {
      const place = `${partition}@${offset}`
      this.#received.set(place, (this.#received.get(place) ?? 0) + 1)
    },
    revoked: (partition: number): void => {
      this.#revokes.set(partition, (this.#revokes.get(partition) ?? 0) + 1)
    },
    lost: (): void => {
      this.lostCount += 1
    },
  }

  /** The newer account of a rebalance counts: its dark times come later. */
  addRebalances(rebalances: readonly GroupRebalance[]): void {
    for (const rebalance of rebalances) this.#rebalances.set(rebalance.number, rebalance)
  }

  addMembers(members: readonly GroupMember[]): void {
    for (const { memberId, partitions, revoking } of members) {
      for (const { partition, epoch } of [...partitions, ...revoking])
        this.#grants.set(`${partition}@${epoch}`, memberId)
    }
  }

  get rebalances(): GroupRebalance[] {
    return [...this.#rebalances.values()].toSorted((a, b) => a.number - b.number)
  }

  /** Numbers of rebalances that were not seen, because there were too many at once. */
  get unseen(): number {
    const last = this.rebalances.at(-1)?.number ?? 0
    return last - this.#rebalances.size
  }

  get receivedCount(): number {
    return this.#received.size
  }

  get receivedTwice(): number {
    return [...this.#received.values()].filter((count) => count > 1).length
  }

  /** Partitions whose epoch changed, or that were revoked, more often than rebalances moved them. */
  movedUntold(): number[] {
    const told = new Map<string, string>()
    const takenAway = new Map<number, number>()
    for (const { partition, epoch, from, to } of this.rebalances.flatMap(({ moves }) => moves)) {
      if (to !== undefined) told.set(`${partition}@${epoch}`, to)
      if (from !== undefined) takenAway.set(partition, (takenAway.get(partition) ?? 0) + 1)
    }
    const untold = new Set<number>()
    for (const [grant, memberId] of this.#grants) {
      if (told.get(grant) !== memberId) untold.add(Number(grant.split('@')[0]))
    }
    for (const [partition, count] of this.#revokes) {
      if (count > (takenAway.get(partition) ?? 0)) untold.add(partition)
    }
    return [...untold]
  }

  /** Rebalances with more moves than the changes that led to them account for: ⌈partitions / members⌉ each. */
  excessive(): GroupRebalance[] {
    let before = 0
    return this.rebalances.filter(({ triggers, partitions, members, moves }) => {
      // The smaller side: who leaves had a share of the smaller group.
      const least = Math.max(1, Math.min(before === 0 ? members : before, members))
      before = members
      return moves.length > triggers.length * Math.ceil(partitions / least)
    })
  }
}

/** The share-quantile of numbers; 0 of none. */
export function quantile(numbers: readonly number[], share: number): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}
