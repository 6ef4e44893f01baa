import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deliveryLoss } from './delivery-loss.ts'
import { letterOf, SampleDelivery } from './testing/sample-delivery.ts'

/** Two messages, of which the second was acknowledged. */
function popped(): SampleDelivery {
  const sample = new SampleDelivery().left(['a', 1], ['b', 2])
  return sample.told(sample.handed(10, { offset: 1 }), 'acked', { atMs: 20 })
}

void test('every message was acknowledged or is dead', () => {
  const sample = popped().ended({ high: 2, dead: 1, acked: 1 }, [letterOf()])
  assert.equal(sample.judged(deliveryLoss), '')
})

void test('an ack that nobody answered may be why', () => {
  const sample = popped()
  sample.told(sample.handed(30), undefined, { atMs: 40 })
  assert.equal(sample.ended({ high: 2, acked: 2 }).judged(deliveryLoss), '')
})

void test('a message that is nowhere, though it counts as acknowledged', () => {
  const found = popped().ended({ high: 2, acked: 2 }).judged(deliveryLoss)
  assert.match(found, /1 messages were neither acknowledged nor died, the first at 0/)
  assert.match(found, /2 count as acked, consumers know of 1 to 1/)
})

void test('states that do not add up, and something that waits', () => {
  const states = popped().ended({ high: 2, dead: 1 }, [letterOf()])
  assert.match(states.judged(deliveryLoss), /do not add up/)
  const waits = popped().ended({ high: 2, ready: 1, acked: 1 })
  assert.match(waits.judged(deliveryLoss), /something waits still/)
})

void test('what is passed by was discarded', () => {
  const state = { high: 2, acked: 1, skipped: 1 }
  const discarded = popped().ended(state, [letterOf({ state: 'discarded' })])
  assert.equal(discarded.judged(deliveryLoss), '')
  assert.match(popped().ended(state).judged(deliveryLoss), /1 were passed by, and 0 were discarded/)
})

void test('an ack from before a reset does not count behind it', () => {
  const sample = popped().reset(0, 50)
  const again = sample.handed(60, { generation: 1 })
  sample.told(again, 'acked', { atMs: 70 }).ended({ high: 2, acked: 2 })
  assert.match(sample.judged(deliveryLoss), /1 messages were neither .*, the first at 1/)
})

void test('a power cut changes nothing', () => {
  const before = popped().ended({ high: 2, dead: 1, acked: 1 }, [letterOf()])
  const sample = before.ended({ high: 2, ready: 1, acked: 1 })
  assert.match(sample.judged(deliveryLoss), /before the power cut there was .*, after it/)
})
