import assert from 'node:assert/strict'
import type { Grant, HeldGrant, Offset } from '@popmq/protocol'
import { type CoreMember, keyOf, partitionOf } from './core-member.ts'

/**
 * What must hold whatever happens, by what members are told and what commits are accepted:
 *    an epoch of a partition is told to one member only, and a later one is higher
 *    progress never goes back under one epoch, and a commit accepted is never below one that was accepted before it
 *      under any epoch, but for resets
 *    a commit under an epoch is never accepted once a higher epoch was told
 */
export class GroupHistory {
  readonly #owners = new Map<string, string>()
  readonly #highest = new Map<string, number>()
  readonly #committed = new Map<string, number>()
  readonly #resetting = new Set<string>()
  accepted = 0
  fenced = 0

  told(member: CoreMember, grants: readonly Grant[]): void {
    for (const grant of grants) {
      const key = keyOf(grant)
      const owner = this.#owners.get(key) ?? member.memberId
      assert.equal(owner, member.memberId, `${key} is granted to one member`)
      this.#owners.set(key, owner)
      const partition = partitionOf(grant)
      const highest = this.#highest.get(partition) ?? 0
      assert.ok(grant.epoch >= highest, `${key} is told after epoch ${highest}`)
      this.#highest.set(partition, grant.epoch)
      const committed = this.#committed.get(partition) ?? 0
      if (grant.epoch > highest && !this.#resetting.has(partition))
        assert.ok(
          grant.offset >= committed,
          `${key} goes on at ${grant.offset}, below ${committed}`,
        )
    }
  }

  /** Commits from `member`, and judges the answer. */
  async commit(member: CoreMember, held: HeldGrant, steps: number): Promise<void> {
    const partition = partitionOf(held)
    const at = ((this.#committed.get(partition) ?? 0) + steps) as Offset
    const isStale = held.epoch < (this.#highest.get(partition) ?? 0)
    const refused = await member.commit(held, at)
    if (refused.length > 0) {
      this.fenced += 1
      return
    }
    assert.ok(held.epoch <= (this.#highest.get(partition) ?? 0), 'it was told')
    assert.ok(!isStale, `${keyOf(held)} was stale, and its commit was accepted`)
    this.accepted += 1
    this.#committed.set(partition, Math.max(at, this.#committed.get(partition) ?? 0))
  }

  /** Progress may be lower once `done` is so; while it is under way nothing is known of it. */
  async reset(partition: string, offset: number, done: Promise<unknown>): Promise<void> {
    this.#resetting.add(partition)
    await done
    this.#resetting.delete(partition)
    this.#committed.set(partition, offset)
  }

  committed(partition: string): number {
    return this.#committed.get(partition) ?? 0
  }
}
