import { between } from '@popmq/kit'
import type { SeededRandom } from '@popmq/kit/testing'
import {
  deadChange,
  type DeadLetter,
  groupId,
  groupReset,
  inflightRelease,
  isMqError,
  type LeasedMessage,
  offset,
  offsets,
  partitionNumber,
  purge,
  retryChange,
  topicId,
  type WaitingRetry,
} from '@popmq/protocol'
import type { DeliveryBook, LetterChange, RetryChange } from '../../delivery-history.ts'
import { type HistoryBook, partitionName } from '../../history.ts'
import type { WireClient } from '../wire-client.ts'
import { HeldLook } from './held-look.ts'
import { nodeOf } from './pop-consumer.ts'

export interface NamedGroup {
  readonly name: string
  readonly id: number
}

export interface DeliveryOperatorParts {
  readonly client: WireClient
  readonly random: SeededRandom
  readonly history: HistoryBook
  readonly book: DeliveryBook
  readonly topic: { readonly name: string; readonly id: number; readonly partitions: number }
  readonly groups: readonly NamedGroup[]
}

const timeoutMs = 2_000
const never = Number.POSITIVE_INFINITY

/** Meddles with what waits: retries, leases, dead letters; resets groups and purges the topic. */
export class DeliveryOperator {
  readonly #parts: DeliveryOperatorParts

  constructor(parts: DeliveryOperatorParts) {
    this.#parts = parts
  }

  /** Does one thing of these; whether it was done when nobody answered is for the history. */
  async actOnce(): Promise<void> {
    const { random, groups } = this.#parts
    const drawn = random.next()
    const group = one(groups, random)
    const node = one([...new Set(this.#parts.book.leaders.values())], random)
    if (group === undefined || node === undefined) return
    try {
      if (drawn < 0.25) await this.#retry(group.id, node)
      else if (drawn < 0.5) await this.#takeBack(group.id, node)
      else if (drawn < 0.75) await this.#letter(group.id, node)
      else if (drawn < 0.9) await this.#reset(group)
      else await this.#purge()
    } catch (error) {
      if (!isMqError(error) || isMqError(error, 'internal')) throw error
    }
  }

  async #retry(group: number, node: string): Promise<void> {
    const { client, random } = this.#parts
    const retry = one(await new HeldLook(client, node).retries(group), random)
    const to = random.next() < 0.7 ? 'now' : 'dead'
    if (retry !== undefined) await this.changeRetry({ group, node, retry, to })
  }

  async changeRetry({ group, node, retry, to }: RetryAsked): Promise<void> {
    const { client, book } = this.#parts
    const { topicId: topic, partition, offset: at, number } = retry
    const place = { group, partition: partitionName(topic, partition), offset: at, number }
    const askedMs = client.parts.clock.monotonic()
    const change: RetryChange = { ...place, to, askedMs, answeredMs: never, result: undefined }
    book.retryChanges.push(change)
    const caller = await client.caller(`${node}:7710`)
    const asked = { groupId: groupId(group), numbers: [number], to }
    const { reply } = await caller.call(retryChange, asked, { timeoutMs })
    change.answeredMs = client.parts.clock.monotonic()
    change.result = reply.results[0]
  }

  async #takeBack(group: number, node: string): Promise<void> {
    const { client, random } = this.#parts
    const leased = one(await new HeldLook(client, node).inFlight(group), random)
    if (leased !== undefined) await this.takeBack(group, node, leased)
  }

  async takeBack(group: number, node: string, leased: LeasedMessage): Promise<void> {
    const { client, book } = this.#parts
    const { topicId: topic, partition, offset: at, number = at } = leased
    const place = { group, partition: partitionName(topic, partition), offset: at, number }
    const taken = { ...place, askedMs: client.parts.clock.monotonic(), answeredMs: never }
    book.takeBacks.push(taken)
    const caller = await client.caller(`${node}:7710`)
    const asked = { groupId: groupId(group), messages: [leased] }
    await caller.call(inflightRelease, asked, { timeoutMs })
    taken.answeredMs = client.parts.clock.monotonic()
  }

  async #letter(group: number, node: string): Promise<void> {
    const { client, random, book } = this.#parts
    const letter: DeadLetter | undefined = one(
      await new HeldLook(client, node).letters(group),
      random,
    )
    if (letter === undefined) return
    const to = random.next() < 0.6 ? 'discarded' : 'open'
    const askedMs = client.parts.clock.monotonic()
    const number = letter.letter
    const own = { group, node, letter: number, to } as const
    const change: LetterChange = { ...own, askedMs, answeredMs: never, result: undefined }
    book.letterChanges.push(change)
    const caller = await client.caller(`${node}:7710`)
    const asked = { groupId: groupId(group), letters: [number], to } as const
    const { reply } = await caller.call(deadChange, asked, { timeoutMs })
    change.answeredMs = client.parts.clock.monotonic()
    change.result = reply.results[0]
  }

  /** Mostly back, now and then ahead. */
  async #reset({ name, id }: NamedGroup): Promise<void> {
    const { client, random, book, topic } = this.#parts
    const number = between(random, 0, topic.partitions - 1)
    const { high } = await this.#bounds(number)
    const to = between(random, 0, high)
    const partition = partitionName(topic.id, number)
    const askedMs = client.parts.clock.monotonic()
    const reset = { group: id, partition, offset: to, askedMs, answeredMs: never }
    book.resets.push(reset)
    const places = [{ partition: partitionNumber(number), offset: offset(to) }]
    await client.ask(groupReset, { group: name, topicId: topicId(topic.id), offsets: places })
    reset.answeredMs = client.parts.clock.monotonic()
  }

  async #purge(): Promise<void> {
    const { random, history, topic } = this.#parts
    const number = between(random, 0, topic.partitions - 1)
    const { low, high } = await this.#bounds(number)
    const before = between(random, low, high)
    const partition = partitionName(topic.id, number)
    history.removals.push({ kind: 'purge', partition, before })
    const caller = await this.#leader(number)
    const place = { topicId: topicId(topic.id), partition: partitionNumber(number) }
    await caller.call(purge, { ...place, before: offset(before) }, { timeoutMs: 4_000 })
  }

  async #bounds(partition: number): Promise<{ low: number; high: number }> {
    const caller = await this.#leader(partition)
    const place = {
      topicId: topicId(this.#parts.topic.id),
      partition: partitionNumber(partition),
    }
    const { reply } = await caller.call(offsets, { partitions: [place] }, { timeoutMs })
    const [bounds] = reply.results
    if (bounds === undefined || bounds.error !== undefined) return { low: 0, high: 0 }
    return bounds
  }

  #leader(partition: number): ReturnType<WireClient['caller']> {
    const { client, book, topic } = this.#parts
    const node = book.leaders.get(partitionName(topic.id, partition)) ?? ''
    return client.caller(`${node}:7710`)
  }
}

interface RetryAsked {
  readonly group: number
  readonly node: string
  readonly retry: WaitingRetry
  readonly to: 'now' | 'dead'
}

/** Notes which node leads each partition of the topic. */
export async function noteLeaders(
  client: WireClient,
  book: DeliveryBook,
  topic: number,
): Promise<boolean> {
  const { topics, sets } = await client.routes()
  const own = topics.find(({ id }) => id === topic)?.sets ?? []
  for (const [partition, set] of own.entries()) {
    const address = sets.find(({ id }) => id === set)?.address ?? ''
    if (address === '') return false
    book.leaders.set(partitionName(topic, partition), nodeOf(address))
  }
  return own.length > 0
}

function one<T>(all: readonly T[], random: SeededRandom): T | undefined {
  return all[between(random, 0, Math.max(0, all.length - 1))]
}
