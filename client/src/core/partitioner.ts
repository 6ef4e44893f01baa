import type { Random } from '@popmq/kit'
import { hashOfText, MqError, type PreparedMessage, quoted } from '@popmq/protocol'

/**
 * Chooses the partition of each message of one topic: the one named; else by the hash of the key; else by the hash of
 * the dedup id, so that a second send meets the first; else the partitions take turns, one batch each.
 */
export class Partitioner {
  readonly #topic: string
  #turn: number

  /** Starts anywhere, so that many producers do not go round in step. */
  constructor(topic: string, random: Random) {
    this.#topic = topic
    this.#turn = Math.floor(random.next() * 0x1_0000)
  }

  /**
   * @param named the partition that the user named
   * @returns a partition from 0 to `partitions` − 1
   * @throws MqError `partition_not_found`, `invalid_request`
   */
  choose(message: PreparedMessage, partitions: number, named: number | undefined): number {
    if (named !== undefined) return this.#checked(named, partitions)
    if (message.key !== undefined) return message.keyHash % partitions
    if (message.dedupId !== undefined) return hashOfText(message.dedupId) % partitions
    return this.#turn % partitions
  }

  /** A batch is full or goes out: messages without a key go to the next partition from now on. */
  nextTurn(from: number, partitions: number): void {
    if (this.#turn % partitions === from) this.#turn = (from + 1) % partitions
  }

  #checked(named: number, partitions: number): number {
    if (!Number.isInteger(named)) {
      throw new MqError('invalid_request', 'partition must be a whole number from 0')
    }
    if (named >= 0 && named < partitions) return named
    const what = `topic ${quoted(this.#topic)} has ${partitions} partitions, there is no partition ${named}`
    throw new MqError('partition_not_found', what, { facts: { partition: named, partitions } })
  }
}
