import { Heap, present } from '@popmq/kit'
import type { TopicId } from '@popmq/protocol'
import {
  type AssignorInput,
  type AssignorMember,
  type Placement,
  readersByTopic,
} from './assignor.ts'

/**
 * Moves as little as it can: every partition stays with a member that still reads its topic, the others go to those
 * with the least, and then only as many move as it takes until members with the same topics differ by at most one.
 */
export function sticky(input: AssignorInput): Placement[] {
  const board = new Board(input)
  board.keep(input)
  board.fill()
  board.level()
  return board.placements(input)
}

/** A member with what it has so far. */
interface Load {
  readonly member: AssignorMember
  readonly order: number
  /** What it has, by topic. */
  readonly parts: Map<TopicId, number[]>
  count: number
}

class Board {
  readonly #loads: readonly Load[]
  readonly #readers = new Map<TopicId, readonly Load[]>()
  readonly #free: { readonly topicId: TopicId; readonly partition: number }[] = []

  constructor(input: AssignorInput) {
    this.#loads = input.members.map((member, order) => ({
      member,
      order,
      parts: new Map<TopicId, number[]>(),
      count: 0,
    }))
    const byMember = new Map(this.#loads.map((load) => [load.member, load]))
    const shared = new Map<string, Load[]>()
    for (const [topicId, members] of readersByTopic(input)) {
      const loads = members.map((member) => present(byMember.get(member), 'a reader is a member'))
      const key = loads.map(({ order }) => order).join()
      const same = shared.get(key) ?? loads
      shared.set(key, same)
      this.#readers.set(topicId, same)
    }
  }

  /** One list for all topics that have the same readers. */
  #readersOf(topicId: TopicId): readonly Load[] {
    return this.#readers.get(topicId) ?? []
  }

  keep({ topics, held }: AssignorInput): void {
    const byId = new Map(this.#loads.map((load) => [load.member.memberId, load]))
    const holders = new Map<TopicId, (Load | undefined)[]>()
    for (const { topicId, partitions } of topics)
      holders.set(topicId, Array.from({ length: partitions }))
    for (const { topicId, partition, memberId } of held) {
      const ofTopic = holders.get(topicId)
      const load = byId.get(memberId)
      if (ofTopic === undefined || partition >= ofTopic.length || load === undefined) continue
      if (load.member.topics.includes(topicId)) ofTopic[partition] = load
    }
    for (const [topicId, ofTopic] of holders) {
      for (const [partition, load] of ofTopic.entries()) {
        if (load === undefined) this.#free.push({ topicId, partition })
        else give(load, topicId, partition)
      }
    }
  }

  /** Topics with the fewest readers first: what only few can take should not find them full. */
  fill(): void {
    const free = this.#free.toSorted(
      (a, b) => this.#readersOf(a.topicId).length - this.#readersOf(b.topicId).length,
    )
    let readers: readonly Load[] = []
    let lightest = new Heap<Load>(isLighter)
    for (const { topicId, partition } of free) {
      if (this.#readersOf(topicId) !== readers) {
        readers = this.#readersOf(topicId)
        lightest = new Heap<Load>(isLighter)
        for (const load of readers) lightest.push(load)
      }
      const load = lightest.pop()
      if (load === undefined) continue
      give(load, topicId, partition)
      lightest.push(load)
    }
  }

  /**
   * The one with the most gives first, one at a time, so nobody gives what he would get back. Each move takes from one
   * member for another that has two less at least, so this comes to an end.
   */
  level(): void {
    for (let isMoved = true; isMoved;) {
      isMoved = false
      const heaviest = new Heap<Load>((a, b) => isLighter(b, a))
      for (const load of this.#loads) heaviest.push(load)
      for (let heavy = heaviest.pop(); heavy !== undefined; heavy = heaviest.pop()) {
        if (!this.#relieve(heavy)) continue
        isMoved = true
        heaviest.push(heavy)
      }
    }
  }

  placements({ topics }: AssignorInput): Placement[] {
    const wanted = new Set(topics.map(({ topicId }) => topicId))
    return this.#loads.flatMap(({ member, parts }) =>
      [...parts].flatMap(([topicId, partitions]) =>
        wanted.has(topicId)
          ? partitions.map((partition) => ({ topicId, partition, memberId: member.memberId }))
          : [],
      ),
    )
  }

  /** Takes one partition from a member for the one with the least that can have one of its partitions. */
  #relieve(heavy: Load): boolean {
    let best: { readonly load: Load; readonly topicId: TopicId } | undefined
    const seen = new Set<readonly Load[]>()
    for (const [topicId, partitions] of heavy.parts) {
      const readers = this.#readersOf(topicId)
      if (partitions.length === 0 || seen.has(readers)) continue
      seen.add(readers)
      for (const load of readers) {
        if (load.count + 2 <= heavy.count && (best === undefined || isLighter(load, best.load)))
          best = { load, topicId }
      }
    }
    if (best === undefined) return false
    const partitions = present(heavy.parts.get(best.topicId), 'what is taken is there')
    const partition = present(partitions.pop(), 'what is taken is there')
    heavy.count -= 1
    give(best.load, best.topicId, partition)
    return true
  }
}

function give(load: Load, topicId: TopicId, partition: number): void {
  const partitions = load.parts.get(topicId)
  if (partitions === undefined) load.parts.set(topicId, [partition])
  else partitions.push(partition)
  load.count += 1
}

function isLighter(a: Load, b: Load): boolean {
  return a.count < b.count || (a.count === b.count && a.order < b.order)
}
