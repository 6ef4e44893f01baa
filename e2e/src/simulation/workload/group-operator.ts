import type { Admin } from '@popmq/client'
import { between } from '@popmq/kit'
import type { SeededRandom } from '@popmq/kit/testing'
import { isMqError } from '@popmq/protocol'
import { type GroupBook, partitionName } from '../history.ts'
import { groupName } from './group-member.ts'

export interface GroupOperatorParts {
  readonly admin: Admin
  readonly random: SeededRandom
  readonly book: GroupBook
  readonly topic: string
  /** Notes which topics there are. */
  readonly look: () => Promise<unknown>
}

/** The most partitions that the topic grows to. */
const mostPartitions = 8

/** Resets, pauses and resumes the group, and adds partitions to its topic. */
export class GroupOperator {
  readonly #parts: GroupOperatorParts

  constructor(parts: GroupOperatorParts) {
    this.#parts = parts
  }

  /** Does one thing of these; whether it was done when nobody answered is for the history. */
  async actOnce(): Promise<void> {
    const { admin, random } = this.#parts
    const drawn = random.next()
    try {
      if (drawn < 0.4) await this.#reset()
      else if (drawn < 0.6) await admin.groups().pause(groupName)
      else if (drawn < 0.85) await admin.groups().resume(groupName)
      else await this.#grow()
    } catch (error) {
      if (!isMqError(error) || isMqError(error, 'internal')) throw error
    }
  }

  /** Back to somewhere below what is committed. */
  async #reset(): Promise<void> {
    const { admin, random, book, topic } = this.#parts
    const { progress } = await admin.groups().describe(groupName)
    const row = progress[between(random, 0, progress.length - 1)]
    if (row === undefined) return
    const { id } = await admin.describeTopic(topic)
    const offset = between(random, 0, row.offset)
    const event = {
      kind: 'reset' as const,
      partition: partitionName(id, row.partition),
      offset,
      done: Number.POSITIVE_INFINITY,
    }
    book.events.push(event)
    await admin
      .groups()
      .resetProgress(groupName, topic, { to: offset, partitions: [row.partition] })
    event.done = book.place
  }

  async #grow(): Promise<void> {
    const { admin, topic, look } = this.#parts
    const { partitions } = await admin.describeTopic(topic)
    if (partitions.length >= mostPartitions) return
    await admin.setTopic(topic, { partitions: partitions.length + 1 })
    await look()
  }
}
