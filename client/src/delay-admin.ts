import { delayChange, type DelayedMessage as Waiting, delayList } from '@popmq/protocol'
import { type Checksum, delayShow, firstHeldNumber, MqError, quoted } from '@popmq/protocol'
import type { TopicInfo } from '@popmq/protocol'
import type { CallOptions } from './api/admin.ts'
import type { DelayAdmin, DelayedList, DelayedMessage, DelayResult } from './api/delays.ts'
import type { ShownDelay } from './api/delays.ts'
import { timeOf } from './core/delay.ts'
import { heldIdOf, parseHeldId } from './core/held-id.ts'
import { readLoneRecord } from './core/lone-record.ts'
import { checkRange } from './options.ts'
import { SetLeaders, type SetLeadersDeps } from './set-leaders.ts'
import { readPages } from './set-pages.ts'

export interface DelayAdminDeps extends SetLeadersDeps {
  readonly crc32: Checksum
}

/** Asks the leaders of the sets that hold a topic. */
export class RemoteDelayAdmin implements DelayAdmin {
  readonly #deps: DelayAdminDeps
  readonly #leaders: SetLeaders

  constructor(deps: DelayAdminDeps) {
    this.#deps = deps
    this.#leaders = new SetLeaders(deps)
  }

  async list(
    topic: string,
    { limit = 1_000, signal }: { readonly limit?: number } & CallOptions = {},
  ): Promise<DelayedList> {
    checkRange('limit', limit, [1, 100_000])
    const { topics } = await this.#leaders.map(signal)
    const info = topics.find(({ name }) => name === topic)
    if (info === undefined)
      throw new MqError('topic_not_found', `there is no topic ${quoted(topic)}`)
    const sets = [...new Set(info.sets)]
    const told = await Promise.all(sets.map((set) => this.#listOf(set, info, { limit, signal })))
    const messages = told.flatMap((each) => each.messages).sort((a, b) => a.dueAt - b.dueAt)
    return {
      messages: messages.slice(0, limit),
      total: told.reduce((sum, { total }) => sum + total, 0),
      complete: messages.length <= limit && told.every(({ complete }) => complete),
    }
  }

  async show(id: string, { signal }: CallOptions = {}): Promise<ShownDelay> {
    const { set, number } = parseHeldId('a delayed message', id)
    const { nameOf } = await this.#leaders.map(signal)
    return this.#leaders.ask(set, { isRepeatable: true, signal }, async (caller, how) => {
      const { reply, bytes } = await caller.call(
        delayShow,
        { number: firstHeldNumber + number },
        how,
      )
      const told = describe(set, reply.message, nameOf)
      const place = { topic: told.topic, partition: told.partition, offset: -1 }
      return { ...told, message: readLoneRecord(bytes, place, this.#deps.crc32) }
    })
  }

  async cancel(id: string, options: CallOptions = {}): Promise<DelayResult> {
    return (await this.#change(id, undefined, options)).result
  }

  async move(
    id: string,
    at: Date | number,
    options: CallOptions = {},
  ): Promise<{ result: DelayResult; dueAt?: number }> {
    // What is before 1970 is as past as that.
    const deliverAt = Math.max(0, timeOf('at', at, this.#deps.clock.now()))
    return this.#change(id, deliverAt, options)
  }

  /** Not tried again once it may have been done: then `delivered` would tell of nothing that was so before. */
  async #change(
    id: string,
    deliverAt: number | undefined,
    { signal }: CallOptions,
  ): Promise<{ result: DelayResult; dueAt?: number }> {
    const { set, number } = parseHeldId('a delayed message', id)
    const { sets } = await this.#leaders.map(signal)
    if (!sets.includes(set)) return { result: 'unknown' }
    const to = deliverAt === undefined ? {} : { deliverAt }
    const request = { number: firstHeldNumber + number, ...to }
    return this.#leaders.ask(set, { isRepeatable: false, signal }, async (caller, how) => {
      return (await caller.call(delayChange, request, how)).reply
    })
  }

  async #listOf(
    set: number,
    { id: topicId, name }: TopicInfo,
    { limit, signal }: { readonly limit: number; readonly signal: AbortSignal | undefined },
  ): Promise<DelayedList> {
    let total = 0
    const { items, complete } = await readPages<Waiting>(
      limit,
      ({ number }) => number,
      (page) =>
        this.#leaders.ask(set, { isRepeatable: true, signal }, async (caller, how) => {
          const { reply } = await caller.call(delayList, { topicId, ...page }, how)
          total = reply.total
          return { items: reply.messages, complete: reply.complete }
        }),
    )
    return { messages: items.map((each) => describe(set, each, () => name)), total, complete }
  }
}

function describe(
  set: number,
  { number, topicId, partition, dueAt, bytes }: Waiting,
  nameOf: (topicId: number) => string,
): DelayedMessage {
  return { id: heldIdOf(set, number), topic: nameOf(topicId), partition, dueAt, bytes }
}
