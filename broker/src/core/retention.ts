import type { Offset, PartitionKey, TimeMs, TopicInfo } from '@popmq/protocol'
import { type ConsumeQueues, EntryView, type Horizon } from './consume-queue/index.ts'
import type { Topics } from './topics.ts'

export interface RetentionParts {
  readonly queues: Pick<
    ConsumeQueues,
    'bounds' | 'keptBytes' | 'offsetAt' | 'offsetKeeping' | 'slice'
  >
  readonly topics: Topics
}

/**
 * Decides which messages their topic no longer keeps. It only decides: the leader appends a horizon record, and applying
 * that raises the low offsets.
 *
 * The dead letters of groups are topics as any other here.
 *
 * By age: a message appended more than `retention` ago goes. By size: a topic whose partitions here hold more than their
 * share of `maxBytes` loses the same share of each partition, oldest first.
 */
export class Retention {
  readonly #parts: RetentionParts
  readonly #entry = new EntryView()
  /** No message of a partition was appended before: until that is too old it need not be looked at. */
  readonly #oldest = new Map<PartitionKey, TimeMs>()

  constructor(parts: RetentionParts) {
    this.#parts = parts
  }

  /** The low offsets that should rise now, at most `most` of them. */
  async due(nowMs: TimeMs, most: number): Promise<Horizon[]> {
    const horizons: Horizon[] = []
    for (const topic of this.#parts.topics.all) {
      const keys = this.#parts.topics.ledKeys(topic)
      const share = this.#keptShare(topic, keys)
      for (const key of keys) {
        if (horizons.length === most) return horizons
        const { low } = this.#parts.queues.bounds(key)
        const byAge = await this.#lowByAge(key, topic, nowMs)
        const bySize = share === 1 ? low : await this.#lowBySize(key, share)
        if (byAge > low || bySize > low)
          horizons.push({ key, low: byAge > bySize ? byAge : bySize })
      }
    }
    return horizons
  }

  async #lowByAge(key: PartitionKey, { policy }: TopicInfo, nowMs: TimeMs): Promise<Offset> {
    const { queues } = this.#parts
    const { low, high } = queues.bounds(key)
    if (policy.retentionMs === 0 || low === high) return low
    if (nowMs < (this.#oldest.get(key) ?? 0) + policy.retentionMs) return low
    const kept = await queues.offsetAt(key, nowMs - policy.retentionMs)
    const oldest = await queues.slice(key, kept, { maxEntries: 1 })
    if (oldest.count > 0) this.#oldest.set(key, oldest.entry(0, this.#entry).appendedAt)
    return kept
  }

  #lowBySize(key: PartitionKey, share: number): Promise<Offset> {
    const { queues } = this.#parts
    return queues.offsetKeeping(key, Math.floor(queues.keptBytes(key) * share))
  }

  /** How much of each partition the topic keeps, 0..1. */
  #keptShare({ policy, sets }: TopicInfo, keys: readonly PartitionKey[]): number {
    if (policy.maxBytes === 0) return 1
    const held = keys.reduce((sum, key) => sum + this.#parts.queues.keptBytes(key), 0)
    const allowed = (policy.maxBytes * keys.length) / sets.length
    return held <= allowed ? 1 : allowed / held
  }
}
