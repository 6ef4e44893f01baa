import type { SeededRandom } from '@popmq/kit/testing'
import { isMqError } from '@popmq/protocol'
import type { DeliveryBook } from '../../delivery-history.ts'
import type { WireClient } from '../wire-client.ts'
import { DelayChanger } from './delay-changer.ts'
import type { DeliveryOperator, NamedGroup } from './delivery-operator.ts'
import { HeldLook } from './held-look.ts'

export interface LastHandParts {
  readonly client: WireClient
  readonly random: SeededRandom
  readonly book: DeliveryBook
  readonly operator: DeliveryOperator
  readonly topicId: number
}

/** Makes everything due that waits still, as an operator does whose machines had wrong clocks. */
export class LastHand {
  readonly #parts: LastHandParts

  constructor(parts: LastHandParts) {
    this.#parts = parts
  }

  async hurry(groups: readonly NamedGroup[]): Promise<void> {
    const { client, book, operator } = this.#parts
    for (const node of new Set(book.leaders.values())) {
      const look = new HeldLook(client, node)
      await this.#hurryDelayed(look)
      for (const { id: group } of groups) {
        for (const retry of await look.retries(group))
          if (retry.state === 'waiting')
            await operator.changeRetry({ group, node, retry, to: 'now' })
        for (const leased of await look.inFlight(group))
          await operator.takeBack(group, node, leased)
      }
    }
  }

  async #hurryDelayed(look: HeldLook): Promise<void> {
    const { client, random, book, topicId } = this.#parts
    const changer = new DelayChanger({ client, random, book })
    for (const { number } of await look.delayed(topicId)) {
      try {
        await changer.once({ number, node: look.node }, 1)
      } catch (error) {
        if (!isMqError(error)) throw error
      }
    }
  }
}
