import {
  type FetchedPartition,
  type FetchResult,
  errorNumber,
  type LogPosition,
  logPosition,
  MqError,
} from '@popmq/protocol'
import { type GroupId, offset, type Offset, partitionKey, type PartitionKey } from '@popmq/protocol'
import { type ConsumeQueues, type EntryRange, EntryView } from './consume-queue/index.ts'
import type { LogReader } from './log/log-reader.ts'
import type { Topics } from './topics.ts'

export interface FetchReaderParts {
  readonly queues: Pick<ConsumeQueues, 'bounds' | 'slice' | 'sliceNow'>
  readonly log: Pick<LogReader, 'pinned' | 'read'>
  readonly topics: Pick<Topics, 'led'>
  /** What groups have set aside comes to them as retries. @defaultValue nothing */
  readonly aside?: {
    asideOf(group: GroupId, key: PartitionKey): ReadonlySet<Offset> | undefined
  }
}

export interface Fetched {
  /** Those with a record or an error; when there is none the request may be held. */
  readonly results: readonly FetchResult[]
  /** The record bytes of the results, in their order. */
  readonly slices: readonly Uint8Array[]
  /** Partitions in which only records that the filter does not want were found. */
  readonly passed: readonly FetchResult[]
  /** The partitions with the offsets to go on from, filtered records passed by. */
  readonly rest: readonly FetchedPartition[]
}

/** Bytes of the log that are one behind the other. */
interface Stretch {
  readonly from: LogPosition
  to: LogPosition
}

interface Picked {
  readonly result: FetchResult
  readonly stretches: readonly Stretch[]
}

/** How many entries are looked at in one step: a filter that matches nothing must not hold up the others. */
const step = { maxEntries: 8_128 }

/** Reads visible records of many partitions: entries from the consume queues, then their bytes in as few stretches as they lie in. */
export class FetchReader {
  readonly #parts: FetchReaderParts
  readonly #entry = new EntryView()

  constructor(parts: FetchReaderParts) {
    this.#parts = parts
  }

  /** Reads up to `maxBytes` of records, at least one if there is any; partitions are served in the order given. */
  read(partitions: readonly FetchedPartition[], maxBytes: number): Promise<Fetched> {
    return this.#parts.log.pinned(() => this.#read(partitions, maxBytes))
  }

  async #read(partitions: readonly FetchedPartition[], maxBytes: number): Promise<Fetched> {
    const picks: Picked[] = []
    let room = maxBytes
    for (const asked of partitions) {
      if (room <= 0) break
      const picked =
        this.#refusal(asked) ?? (await this.#pick(asked, { room, isFirst: room === maxBytes }))
      room -= picked.result.bytes
      picks.push(picked)
    }
    const slices = await this.#bytesOf(picks)
    const results = picks.map(({ result }) => result)
    return {
      results: results.filter(isNews),
      slices,
      passed: results.filter((result, index) => {
        return !isNews(result) && result.next > (partitions[index]?.offset ?? 0)
      }),
      rest: partitions.map((asked, index) => ({
        ...asked,
        offset: results[index]?.next ?? asked.offset,
      })),
    }
  }

  #refusal({ topicId, partition, offset: from }: FetchedPartition): Picked | undefined {
    const { low, high } = this.#parts.queues.bounds(partitionKey(topicId, partition))
    const refuse = (error: MqError): Picked => ({
      result: {
        topicId,
        partition,
        low,
        high,
        next: from,
        bytes: 0,
        error: errorNumber(error.name),
        what: error.what,
      },
      stretches: [],
    })
    if (this.#parts.topics.led(topicId, partition) === undefined) {
      return refuse(
        new MqError(
          'not_leader',
          `this broker does not lead partition ${partition} of topic ${topicId}`,
        ),
      )
    }
    if (from < low || from > high) {
      return refuse(
        new MqError('offset_out_of_range', `offset ${from} is not within ${low} to ${high}`),
      )
    }
    return undefined
  }

  /** The entries once their pages are read. Meanwhile the low offset may have risen above what was asked for. */
  async #sliceOrRefusal(asked: FetchedPartition): Promise<EntryRange | Picked> {
    const key = partitionKey(asked.topicId, asked.partition)
    try {
      return await this.#parts.queues.slice(key, asked.offset, step)
    } catch (error) {
      const refusal = this.#refusal(asked)
      if (refusal === undefined) throw error
      return refusal
    }
  }

  async #pick(asked: FetchedPartition, limit: { room: number; isFirst: boolean }): Promise<Picked> {
    const { topicId, partition } = asked
    const key = partitionKey(topicId, partition)
    const { queues } = this.#parts
    const now = queues.sliceNow(key, asked.offset, step)
    const range = now ?? (await this.#sliceOrRefusal(asked))
    if ('result' in range) return range
    const wanted = asked.tagHashes === undefined ? undefined : new Set(asked.tagHashes)
    const { grant } = asked
    // What the group has set aside comes to it as a retry.
    const aside = grant === undefined ? undefined : this.#parts.aside?.asideOf(grant.groupId, key)
    const stretches: Stretch[] = []
    let bytes = 0
    let next: Offset = range.from
    for (let index = 0; index < range.count; index += 1) {
      const entry = range.entry(index, this.#entry)
      const isWanted = wanted === undefined || wanted.has(entry.tagHash)
      if (isWanted && aside?.has(offset(range.from + index)) !== true) {
        if (bytes + entry.size > limit.room && !(limit.isFirst && bytes === 0)) break
        extend(stretches, entry.position, entry.size)
        bytes += entry.size
      }
      next = offset(range.from + index + 1)
    }
    // Bounds after any wait: what became visible meanwhile is told.
    const { low, high } = queues.bounds(key)
    return { result: { topicId, partition, low, high, next, bytes }, stretches }
  }

  async #bytesOf(picks: readonly Picked[]): Promise<Uint8Array[]> {
    const slices: Uint8Array[] = []
    for (const { stretches } of picks) {
      for (const { from, to } of stretches) {
        const read = this.#parts.log.read(from, to)
        slices.push(...(Array.isArray(read) ? read : await read))
      }
    }
    return slices
  }
}

function isNews({ bytes, error }: FetchResult): boolean {
  return bytes > 0 || error !== undefined
}

function extend(stretches: Stretch[], position: LogPosition, size: number): void {
  const last = stretches.at(-1)
  if (last !== undefined && last.to === position) last.to = logPosition(position + size)
  else stretches.push({ from: position, to: logPosition(position + size) })
}
