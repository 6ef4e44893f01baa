import { type Client, isMqError, type Jump, type PartitionMessages } from '@popmq/client'
import { type Clock, sleep } from '@popmq/kit'
import { type HistoryBook, partitionName } from '../history.ts'

export interface PublicReaderParts {
  readonly name: string
  readonly client: Client
  readonly clock: Clock
  readonly history: HistoryBook
  readonly defect: (what: string) => void
}

/** Reads a topic by the public client's pull consumer. The topic must not be made anew: a message names no incarnation. */
export class PublicReader {
  readonly #parts: PublicReaderParts
  /** The offset that each partition must go on at. */
  readonly #due = new Map<number, number>()
  /** Jumps told while messages from before them were still on their way to us, by partition. */
  readonly #jumps = new Map<number, Pick<Jump, 'from' | 'to'>[]>()

  constructor(parts: PublicReaderParts) {
    this.#parts = parts
  }

  async follow(topic: string, isOver: () => boolean): Promise<void> {
    const { client, clock, defect, name } = this.#parts
    const consumer = client.pullConsumer({
      topics: [topic],
      waitMs: 400,
      onOutOfRange: 'earliest',
      onJump: ({ partition, from, to, low, high }) => {
        if (from > high)
          defect(
            `${name} stands at ${from} of ${topic}/${partition}, which ends at ${high} from ${low}`,
          )
        this.#jumps.set(partition, [...(this.#jumps.get(partition) ?? []), { from, to }])
      },
    })
    const stop = new AbortController()
    void this.#stopWhen(isOver, stop)
    try {
      for await (const { partitions } of consumer.batches({ signal: stop.signal })) {
        for (const read of partitions) this.#take(topic, read)
        await sleep(clock, 5)
      }
    } catch (error) {
      if (!isMqError(error)) throw error
      defect(`${name} gave up: ${error.name}: ${error.message}`)
    } finally {
      await consumer.close()
    }
  }

  async #stopWhen(isOver: () => boolean, stop: AbortController): Promise<void> {
    while (!isOver()) await sleep(this.#parts.clock, 100)
    stop.abort()
  }

  /** Where the partition goes on: a jump counts once everything from before it was read. */
  #dueAt(partition: number): number | undefined {
    let due = this.#due.get(partition)
    const jumps = this.#jumps.get(partition) ?? []
    while (jumps[0] !== undefined && (due === undefined || jumps[0].from === due)) {
      due = jumps.shift()?.to
    }
    return due
  }

  #take(topic: string, { partition, messages, next }: PartitionMessages): void {
    const { history, name: reader, clock } = this.#parts
    const known = [...history.topics.values()].find((candidate) => candidate.name === topic)
    const [first] = messages
    if (known === undefined || first === undefined) return
    const from = this.#dueAt(partition) ?? first.offset
    const end = (messages.at(-1)?.offset ?? 0) + 1
    const isJumped = this.#jumps
      .get(partition)
      ?.some((jump) => jump.from === end && jump.to === next)
    const readOn = isJumped === true ? end : next
    this.#due.set(partition, readOn)
    history.polls.push({
      reader,
      partition: partitionName(known.id, partition),
      from,
      messages: messages.map(({ offset, value, appendedAt }) => ({
        offset,
        value: String(value),
        appendedAt,
      })),
      low: 0,
      high: readOn,
      next: readOn,
      atMs: clock.monotonic(),
    })
  }
}
