import { type AckLevel, producerOpen } from '@popmq/protocol'
import type { Send } from '../history.ts'
import type { WireClient } from './wire-client.ts'
import { type Settle, WireLane } from './wire-lane.ts'

export interface WireProducerParts {
  readonly client: WireClient
  readonly acks: AckLevel
  readonly deliverWithinMs: number
  readonly settle: Settle
}

/** Sends runs through one lane for each partition of each incarnation. */
export class WireProducer {
  readonly #parts: WireProducerParts
  readonly #lanes = new Map<string, WireLane>()
  #producerId: number | undefined

  constructor(parts: WireProducerParts) {
    this.#parts = parts
  }

  /** Sends the messages as one run to a partition. */
  async send(
    topic: { name: string; id: number },
    partition: number,
    sends: readonly Send[],
  ): Promise<void> {
    const { client } = this.#parts
    this.#producerId ??= (await client.insist(producerOpen, {})).producerId
    const name = `${topic.id}/${partition}`
    let lane = this.#lanes.get(name)
    if (lane === undefined) {
      const place = {
        topic: topic.name,
        topicId: topic.id,
        partition,
        producerId: this.#producerId,
      }
      lane = new WireLane({ ...this.#parts, ...place })
      this.#lanes.set(name, lane)
    }
    lane.send(sends)
  }
}
