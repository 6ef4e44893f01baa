import { Backoff, type Clock, type Random, sleep } from '@popmq/kit'
import { asMqError, type GroupId, groupOpen, MqError, offset, quoted } from '@popmq/protocol'
import type { RequestOf, TopicInfo } from '@popmq/protocol'
import { abortable, throwIfAborted } from './aborting.ts'
import type { Admin } from './api/admin.ts'
import type { Coordinators } from './coordinators.ts'
import { resolved } from './group-start.ts'
import type { PopConsumerConfig } from './pop-consumer-config.ts'
import { startOf } from './pull-consumer-config.ts'
import type { RouteCache } from './route-cache.ts'
import { within } from './within.ts'

export interface PopGroupDeps {
  readonly coordinators: Coordinators
  readonly routes: RouteCache
  readonly admin: Pick<Admin, 'offsets'>
  readonly clock: Clock
  readonly random: Random
}

/** A group that the coordinator has named to every broker. */
export interface OpenedGroup {
  readonly groupId: GroupId
  /** How long its messages are hidden, as its policy said. */
  readonly invisibleMs: number
  /** Its topics' names by id. */
  readonly names: ReadonlyMap<number, string>
}

/** What popping and settling need of a group. */
export type GroupSource = Pick<PopGroup, 'opened' | 'open' | 'forget'>

type Starts = NonNullable<RequestOf<typeof groupOpen>['starts']>

const tryMs = 5_000
const pause = { firstMs: 50, mostMs: 1_000 }

/**
 * The group that is popped, as the coordinator knows it:
 *   unknown  nobody asked yet, or what was known is not so any more → opening, once somebody needs it
 *   opening  the coordinator is asked → open, or unknown when it refuses
 *   open     → unknown when a broker does not know the group, or a topic is gone
 */
export class PopGroup {
  readonly #config: PopConsumerConfig
  readonly #deps: PopGroupDeps
  readonly #closing = new AbortController()
  #opening: Promise<OpenedGroup> | undefined
  #opened: OpenedGroup | undefined

  constructor(config: PopConsumerConfig, deps: PopGroupDeps) {
    this.#config = config
    this.#deps = deps
  }

  /** @returns undefined while it is not open */
  get opened(): OpenedGroup | undefined {
    return this.#opened
  }

  /**
   * Opens it, unless it is open, trying until `endsAt` on the monotonic clock.
   * @throws MqError what the coordinator refuses it with, `timed_out`, `aborted`
   */
  async open(endsAt: number, signal: AbortSignal | undefined): Promise<OpenedGroup> {
    const { clock, random } = this.#deps
    const backoff = new Backoff(random, pause)
    const what = `group ${quoted(this.#config.group)} was not opened in time`
    while (this.#opened === undefined) {
      throwIfAborted(signal)
      try {
        this.#opening ??= this.#open()
        await abortable(within(this.#opening, { clock, endsAt, what }), signal)
      } catch (thrown) {
        const error = asMqError(thrown)
        const waitMs = backoff.nextMs()
        const isOver = clock.monotonic() + waitMs >= endsAt
        if (error.retriable === 'no' || isOver || error.name === 'aborted') throw error
        await sleep(clock, waitMs, signal)
      }
    }
    return this.#opened
  }

  /** What was known is not so any more. */
  forget(opened: OpenedGroup): void {
    if (this.#opened === opened) this.#opened = undefined
  }

  close(): void {
    this.#closing.abort()
  }

  async #open(): Promise<OpenedGroup> {
    const { group, topics, tags, from } = this.#config
    const { signal } = this.#closing
    try {
      const found = await Promise.all(topics.map((name) => this.#find(name)))
      const request = {
        group,
        topics,
        ...(tags === undefined ? {} : { tags: tags.toSorted() }),
        ...(from === 'earliest' ? {} : { starts: await this.#starts(found) }),
      }
      const how = { withinMs: tryMs, isRepeatable: true, signal }
      const reply = await this.#deps.coordinators.call(groupOpen, request, how)
      const names = new Map(reply.topics.map(({ topicId, name }) => [topicId, name]))
      const { groupId, invisibleMs } = reply
      this.#opened = { groupId, invisibleMs, names }
      return this.#opened
    } finally {
      this.#opening = undefined
    }
  }

  async #find(name: string): Promise<TopicInfo> {
    const topic = await this.#deps.routes.find(name, this.#closing.signal)
    if (topic !== undefined) return topic
    throw new MqError('topic_not_found', `there is no topic ${quoted(name)}`)
  }

  /** Where each topic begins, told for the case that it is new to the group. */
  async #starts(topics: readonly TopicInfo[]): Promise<Starts> {
    const { from } = this.#config
    const { signal } = this.#closing
    const at = from instanceof Date ? { at: from } : {}
    return Promise.all(
      topics.map(async ({ name, id }) => {
        const all = await this.#deps.admin.offsets(name, { ...at, signal })
        const offsets = all.map((bounds) => {
          const start = startOf({ from }, { topic: name, partition: bounds.partition })
          return offset(resolved(start, bounds))
        })
        return { topicId: id, offsets }
      }),
    )
  }
}
