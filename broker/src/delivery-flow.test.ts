import assert from 'node:assert/strict'
import { test } from 'node:test'
import { partitionKey, partitionNumber, topicId } from '@popmq/protocol'
import { DeliveryWorld, type Held, popGroup } from './testing/delivery-world.ts'

const none = { ready: 0, leased: 0, retrying: 0, parked: 0, dead: 0, acked: 0, skipped: 0 }
const key = partitionKey(topicId(1), partitionNumber(0))
const total = Number(process.env['FLOW_MESSAGES'] ?? 100_000)
const perBatch = 500

/** How often entries are asked for, and how many come. */
function counted(world: DeliveryWorld): { calls: number; entries: number } {
  const { queues } = world.set.viewSet
  const count = { calls: 0, entries: 0 }
  const sliceNow = queues.sliceNow.bind(queues)
  queues.sliceNow = (...asked) => {
    const found = sliceNow(...asked)
    count.calls += 1
    count.entries += found?.count ?? 0
    return found
  }
  return count
}

void test(`one message is held for an hour while ${total} flow past: nothing grows, and nothing is done twice`, async () => {
  const world = await new DeliveryWorld().start()
  await world.send(['held'])
  const held = await world.pop({ invisibleMs: 3_600_000 })
  const count = counted(world)
  const costs: number[] = []
  for (let sent = 0; sent < total; sent += perBatch) {
    await world.send(Array.from({ length: perBatch }, (_, at) => `${sent + at}`))
    const before = count.calls + count.entries
    const batch = await world.pop({ max: perBatch })
    costs.push(count.calls + count.entries - before)
    assert.equal(batch.length, perBatch)
    await ack(world, batch)
    await world.clock.run((3_500_000 * perBatch) / total)
  }
  const view = world.set.viewSet.delivery.find(popGroup, key)
  assert.deepEqual([view?.open.size, view?.ahead.size, view?.next], [1, 0, total + 1])
  const stats = world.set.delivering.dispatch.stats()
  assert.equal(stats['leased'], 1)
  assert.ok((stats['leaseAlarms'] ?? 0) < 10_000, `${stats['leaseAlarms']} alarms are set`)
  assert.ok(
    Math.max(...costs) <= perBatch + 20,
    `at most ${Math.max(...costs)} looks for ${perBatch} messages`,
  )
  await world.world.restart('lose')
  assert.deepEqual(await world.states(), { ...none, leased: 1, acked: total })
  assert.deepEqual(await world.pop(), [])
  await world.clock.run(3_600_000 - (world.clock.monotonic() % 3_600_000))
  const [again] = await world.pop()
  assert.deepEqual([again?.value, again?.attempt], ['held', 2])
  assert.deepEqual(await world.ack(held), ['expired'])
})

/** As one lease: how clients acknowledge a batch. */
async function ack(world: DeliveryWorld, batch: readonly Held[]): Promise<void> {
  const results = await world.ack(batch)
  assert.ok(results.every((result) => result === 'acked'))
}
