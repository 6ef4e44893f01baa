import { assert } from '@popmq/kit'

/** A replica set that may take partitions. */
export interface Candidate {
  readonly id: number
  /** Partitions of all topics that it has. */
  readonly load: number
}

/**
 * Sets for `count` partitions more of one topic, which has `placed` already. Each partition goes to the set with the
 * fewest of this topic, then the least loaded, then the lowest id: so a topic is spread evenly, and so are all.
 */
export function placePartitions(
  count: number,
  candidates: readonly Candidate[],
  placed: readonly number[] = [],
): number[] {
  const sets = candidates.map(({ id, load }) => ({
    id,
    load,
    ofTopic: placed.filter((set) => set === id).length,
  }))
  return Array.from({ length: count }, () => {
    let best = sets[0]
    assert(best !== undefined, 'partitions are placed on at least one set')
    for (const set of sets) {
      if ((set.ofTopic - best.ofTopic || set.load - best.load || set.id - best.id) < 0) best = set
    }
    best.load += 1
    best.ofTopic += 1
    return best.id
  })
}
