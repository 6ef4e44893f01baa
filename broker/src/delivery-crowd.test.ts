import assert from 'node:assert/strict'
import { test } from 'node:test'
import { popGroup } from './testing/delivery-world.ts'
import { DeliveryCrowd } from './testing/delivery-crowd.ts'

const seeds = Number(process.env['CROWD_SEEDS'] ?? 12)
const from = Number(process.env['CROWD_FROM'] ?? 1)

void test('many consumers at once, on a slow disk: nobody gets what another has, and each message ends once', async () => {
  for (let seed = from; seed < from + seeds; seed += 1) {
    const crowd = new DeliveryCrowd(seed)
    try {
      await crowd.run(5, 6_000)
      await crowd.drain()
      const states = await crowd.world.states()
      const { ready, leased, retrying, dead, acked, skipped } = states
      assert.deepEqual([ready, leased, retrying, skipped], [0, 0, 0, 0])
      assert.equal(acked + dead, crowd.sent)
      assert.ok(crowd.acked.size <= acked && crowd.dead.size <= dead, JSON.stringify(states))
      assert.equal(crowd.acked.size, acked, 'what is done was answered')
      const group = crowd.world.set.delivering.dispatch.group(popGroup)
      assert.equal(group.inFlight.total, 0)
      assert.ok(crowd.deliveries > crowd.sent)
    } catch (error) {
      throw new Error(`seed ${seed}: ${String(error)}`, { cause: error })
    }
  }
})
