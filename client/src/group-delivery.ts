import { assert, type Clock } from '@popmq/kit'
import type { MqError } from '@popmq/protocol'
import type { GroupBatch } from './api/group-consumer.ts'
import type { Message } from './api/message.ts'
import type { ReceiveOptions } from './api/pull-consumer.ts'
import type { LeasedMessage } from './core/leased-message.ts'
import type { Membership } from './core/membership.ts'
import type { TakenMessages } from './core/read-ahead.ts'
import type { GroupAssignment } from './group-assignment.ts'
import type { GroupProgress } from './group-progress.ts'
import type { GroupRetries } from './group-retries.ts'
import { retriedBatch, toBatch, withCommit } from './message-batch.ts'
import type { Reading } from './reading.ts'

export interface GroupDeliveryDeps {
  readonly clock: Clock
  readonly membership: Membership
  readonly assignment: GroupAssignment
  readonly reading: Reading
  readonly progress: GroupProgress
  /** Absent: nothing is retried. */
  readonly retries: GroupRetries | undefined
  /** Why it cannot be a member. */
  readonly failure: () => MqError | undefined
}

/** What a member is handed: messages of its partitions and retries in turn, as long as there are both. */
export class GroupDelivery {
  readonly #deps: GroupDeliveryDeps
  #wasRetried = false

  constructor(deps: GroupDeliveryDeps) {
    this.#deps = deps
  }

  /** @returns undefined when there is nothing now @throws MqError why nothing can be read */
  nextBatch(): GroupBatch | undefined {
    const most = Number.POSITIVE_INFINITY
    const retried = this.#takeRetried(most)
    if (retried.length > 0) {
      return retriedBatch(retried, async () => this.#deps.retries?.commit(retried))
    }
    const taken = this.#take(most)
    return taken.length > 0 ? this.#toBatch(taken) : undefined
  }

  /** @throws MqError as `PullConsumer.receive` */
  async receive(options: ReceiveOptions): Promise<Message[]> {
    const taken = await this.#deps.reading.receive<{ readonly messages: readonly Message[] }>(
      options,
      (most) => {
        const retried = this.#takeRetried(most)
        return retried.length > 0 ? [{ messages: retried }] : this.#take(most)
      },
    )
    return taken.flatMap(({ messages }) => messages)
  }

  #takeRetried(most: number): LeasedMessage[] {
    const { retries, reading } = this.#deps
    // In turn: neither many failures nor much that is new keeps the other waiting.
    const mayBe = !this.#wasRetried || !reading.readAhead.hasSome
    const retried = mayBe ? (retries?.take(most) ?? []) : []
    this.#wasRetried = retried.length > 0
    return retried
  }

  /** @returns what there is, without waiting @throws MqError why nothing can be read */
  #take(most: number): TakenMessages[] {
    const { membership, assignment, reading, clock, failure } = this.#deps
    const error = failure()
    if (error !== undefined) throw error
    const now = clock.monotonic()
    if (!membership.isLive(now)) return []
    const taken = reading.take(most)
    for (const { reader, next } of taken) {
      const held = assignment.heldBy(reader)
      assert(membership.mayDeliver(held, now), 'only what is held is delivered')
      membership.delivered(held, next)
    }
    return taken
  }

  #toBatch(taken: readonly TakenMessages[]): GroupBatch {
    const { membership, assignment, progress } = this.#deps
    const held = taken.map(({ reader, next }) => ({ held: assignment.heldBy(reader), next }))
    const { session } = membership
    assert(session !== undefined, 'what is delivered is held by a member')
    return withCommit(toBatch(taken), () => progress.commitBatch(held, session))
  }
}
