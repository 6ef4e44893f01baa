import { asMqError, isMqError, type MqError } from '@popmq/protocol'
import type { Client, GroupConsumer, Message, PartitionOffset } from '@popmq/client'
import type { Invocation } from '../invocation.ts'
import { errorLine } from '../output.ts'
import type { Source } from './consume.ts'
import { mostPerReceive, printBatch } from './print-batch.ts'

const waitMs = 20_000

/**
 * Prints as a member of a group, and commits a message only after its line was taken by whoever reads stdout. A commit
 * runs beside the next batch; the one after it waits for it.
 */
export async function consumeAsMember(
  invocation: Invocation,
  client: Client,
  source: Source & { readonly group: string },
): Promise<void> {
  const { group, topic, from, filter, member, broadcast = false, commit = 'auto' } = source
  const isCommitting = commit === 'auto' && (!broadcast || member !== undefined)
  const activity = { count: 0 }
  const note = (): void => {
    activity.count += 1
  }
  const consumer = client.pullConsumer({
    group,
    topics: [topic],
    from,
    commit: 'manual',
    ...(filter === undefined ? {} : { tags: filter }),
    ...(member === undefined ? {} : { member }),
    ...(broadcast ? { broadcast } : {}),
    // What is never committed is not waited for, and what failed is for those who say what became of it.
    ...(isCommitting ? {} : { drainMs: 0, retries: false }),
    onAssign: note,
    onLost: note,
  })
  const commits = new PrintedCommits(invocation, consumer, isCommitting)
  try {
    await printMessages(invocation, { consumer, commits, activity }, source)
  } finally {
    await commits.settled()
    await consumer.close()
  }
  commits.throwError()
}

interface Reading {
  readonly consumer: GroupConsumer
  readonly commits: PrintedCommits
  readonly activity: { readonly count: number }
}

/** Until `max`, until stopped, or until idle: no message for that long while it was a member that nothing happened to. */
async function printMessages(
  invocation: Invocation,
  { consumer, commits, activity }: Reading,
  { max, untilIdle }: Source,
): Promise<void> {
  const { signal } = invocation
  let left = max ?? Number.POSITIVE_INFINITY
  while (left > 0 && !signal.aborted && commits.error === undefined) {
    const before = activity.count
    const options = { max: Math.min(left, mostPerReceive), waitMs: untilIdle ?? waitMs, signal }
    const messages = await consumer.receive(options)
    const isQuiet = consumer.state === 'member' && activity.count === before
    if (messages.length === 0 && untilIdle !== undefined && isQuiet) return
    left -= messages.length
    const printed = await printBatch(invocation, messages)
    await commits.printed(messages, printed)
  }
}

/** Commits what was printed, one commit beside the next batch. */
class PrintedCommits {
  readonly #invocation: Invocation
  readonly #consumer: GroupConsumer
  readonly #isCommitting: boolean
  #underWay: Promise<void> = Promise.resolve()
  /** Why nothing can be committed any more. */
  error: MqError | undefined

  constructor(invocation: Invocation, consumer: GroupConsumer, isCommitting: boolean) {
    this.#invocation = invocation
    this.#consumer = consumer
    this.#isCommitting = isCommitting
  }

  /** The first `count` of the messages received last were printed. */
  async printed(messages: readonly Message[], count: number): Promise<void> {
    if (!this.#isCommitting || count === 0) return
    if (!(await this.#invocation.output.flush())) return
    await this.#underWay
    // All of them: then what was filtered behind them is committed too.
    const offsets = count === messages.length ? undefined : behind(messages.slice(0, count))
    this.#underWay = this.#consumer.commit(offsets).catch((thrown: unknown) => {
      const error = asMqError(thrown)
      // They come again, to whoever has the partition now.
      const isTaken = isMqError(error, 'grant_fenced', 'member_unknown', 'offset_below_progress')
      if (isTaken) this.#invocation.log('warn').warn('not_committed', { error: errorLine(error) })
      else this.error = error
    })
  }

  settled(): Promise<void> {
    return this.#underWay
  }

  throwError(): void {
    if (this.error !== undefined) throw this.error
  }
}

/** The offset behind the last message of each partition. */
function behind(messages: readonly Message[]): PartitionOffset[] {
  const next = new Map<string, PartitionOffset>()
  for (const { topic, partition, offset } of messages) {
    next.set(`${topic}/${partition}`, { topic, partition, offset: offset + 1 })
  }
  return [...next.values()]
}
