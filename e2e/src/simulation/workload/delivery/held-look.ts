import {
  deadList,
  type DeadLetter,
  deadShow,
  type DelayedMessage,
  delayList,
  groupId,
  inflightList,
  type LeasedMessage,
  type Offset,
  offset,
  retryList,
  topicId,
  type WaitingRetry,
} from '@popmq/protocol'
import type { ShownLetter } from '../../delivery-history.ts'
import { partitionName } from '../../history.ts'
import type { WireClient } from '../wire-client.ts'

const timeoutMs = 2_000
const page = { limit: 1_000 }

/** What one broker tells of what waits on it. */
export class HeldLook {
  readonly #client: WireClient
  readonly node: string

  constructor(client: WireClient, node: string) {
    this.#client = client
    this.node = node
  }

  async inFlight(group: number): Promise<readonly LeasedMessage[]> {
    const caller = await this.#client.caller(`${this.node}:7710`)
    const asked = { groupId: groupId(group), ...page }
    return (await caller.call(inflightList, asked, { timeoutMs })).reply.messages
  }

  async retries(group: number): Promise<readonly WaitingRetry[]> {
    const caller = await this.#client.caller(`${this.node}:7710`)
    const asked = { groupId: groupId(group), ...page }
    return (await caller.call(retryList, asked, { timeoutMs })).reply.retries
  }

  async delayed(topic: number): Promise<readonly DelayedMessage[]> {
    const caller = await this.#client.caller(`${this.node}:7710`)
    const asked = { topicId: topicId(topic), ...page }
    return (await caller.call(delayList, asked, { timeoutMs })).reply.messages
  }

  /** All letters, page by page. */
  async letters(group: number): Promise<readonly DeadLetter[]> {
    const caller = await this.#client.caller(`${this.node}:7710`)
    const found: DeadLetter[] = []
    let after: Offset | undefined
    for (;;) {
      const behind = after === undefined ? {} : { after }
      const asked = { groupId: groupId(group), limit: 50, ...behind }
      const { reply } = await caller.call(deadList, asked, { timeoutMs })
      found.push(...reply.letters)
      if (reply.complete || reply.next === undefined) return found
      after = reply.next
    }
  }

  /** One letter with its history. */
  async letter(group: number, number: number): Promise<ShownLetter> {
    const caller = await this.#client.caller(`${this.node}:7710`)
    const asked = { groupId: groupId(group), letter: offset(number) }
    const { reply } = await caller.call(deadShow, asked, { timeoutMs })
    const { topicId: topic, partition, offset: at, state, attempts, cause, history } = reply.letter
    return {
      group,
      node: this.node,
      letter: number,
      partition: partitionName(topic, partition),
      offset: at,
      state,
      attempts,
      cause,
      told: (history ?? []).map(({ n, consumer, outcome }) => ({ n, consumer, outcome })),
    }
  }
}
