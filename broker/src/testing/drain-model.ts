import assert from 'node:assert/strict'
import type { ModelledDelivery } from './modelled-delivery.ts'
import type { PlainGroup, PlainMessage } from './plain-delivery.ts'

/** Takes all there is and acknowledges it, until nothing is left: each message ends in one way. */
export async function drain(model: ModelledDelivery): Promise<void> {
  for (const index of model.groups.keys()) {
    for (
      let round = 0;
      model.groups[index]?.messages.some(isLeftIn(model.groups[index]));
      round += 1
    ) {
      assert.ok(round < 60, 'it comes to an end')
      const count = await model.pop({ group: index, consumer: 9, max: 100, invisibleMs: 30_000 })
      const picks = Array.from({ length: count }, (_, pick) => pick)
      const step = { group: index, picks, delayMs: undefined, retriable: true, isForged: false }
      await model.settle({ ...step, verb: 'ack' })
      await model.pass(2_000)
    }
  }
  await model.check()
}

function isLeftIn(group: PlainGroup): (message: PlainMessage) => boolean {
  return (message) => {
    if (message.place === 'fresh') return group.isWanted(message)
    return message.place === 'open' || message.place === 'retry'
  }
}
