import type { Rebalance } from '@popmq/protocol'
import type { RecordedMove } from './grant-row.ts'
import { encodeValue } from '../registry-values.ts'

/** A rebalance as it is recorded: its moves are completed as members are heard. */
export interface RecordedRebalance extends Omit<Rebalance, 'moves'> {
  readonly moves: readonly RecordedMove[]
}

const mostRemembered = 100
/** Of all that are remembered, the newest aside. */
const mostMoves = 65_536
const mostKept = 20
const mostKeptBytes = 128 * 1_024

/** The latest rebalances of a group, in memory; fewer of them are kept in the registry. */
export class Rebalances {
  readonly #latest: RecordedRebalance[] = []
  /** How many there have been. */
  count = 0
  /** Of the node; 0: there is none. */
  nodeVersion = 0

  record(fields: Omit<RecordedRebalance, 'number'>): RecordedRebalance {
    this.count += 1
    const rebalance = { number: this.count, ...fields }
    this.#latest.push(rebalance)
    let moves = this.#latest.reduce((sum, each) => sum + each.moves.length, 0)
    while (this.#latest.length > 1 && (this.#latest.length > mostRemembered || moves > mostMoves))
      moves -= this.#latest.shift()?.moves.length ?? 0
    return rebalance
  }

  restore(rebalances: readonly Rebalance[], nodeVersion: number): void {
    this.#latest.push(...rebalances.toReversed())
    this.count = Math.max(this.count, rebalances[0]?.number ?? 0)
    this.nodeVersion = nodeVersion
  }

  /** Newest first. */
  latest(limit: number): Rebalance[] {
    return this.#latest.slice(-limit).toReversed()
  }

  /** The newest that fit, for the registry; one with too many moves loses the rest of them. */
  value(): Uint8Array {
    const kept: Rebalance[] = []
    let bytes = 64
    for (const rebalance of this.latest(mostKept)) {
      const cut = { ...rebalance, moves: rebalance.moves.slice(0, 600) }
      const size = encodeValue(cut).length + 1
      if (bytes + size > mostKeptBytes) break
      kept.push(cut)
      bytes += size
    }
    return encodeValue({ rebalances: kept })
  }
}
