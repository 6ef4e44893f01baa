import assert from 'node:assert/strict'
import { test } from 'node:test'
import { enumerateCrashPoints, MemoryStorage } from '@popmq/kit/testing'
import { type Offset, partitionKey, partitionNumber, topicId } from '@popmq/protocol'
import { DeliveryScript, type Promised } from './testing/delivery-script.ts'
import { DeliveryWorld, popGroup } from './testing/delivery-world.ts'

/** What is known of each message at the moment of the crash. */
interface Known {
  readonly last: ReadonlyMap<string, Promised['to']>
  /** Something was under way: it may be done or not. */
  readonly open: ReadonlySet<string>
}

function knownOf(notes: readonly Promised[]): Known {
  const last = new Map<string, Promised['to']>()
  const open = new Set<string>()
  for (const { to, values, isTried } of notes) {
    for (const value of values) {
      if (isTried) open.add(value)
      else {
        open.delete(value)
        last.set(value, to)
      }
    }
  }
  return { last, open }
}

/** In how many ways a message is alive for the group: ready, in hand or retried; 0 or 1. */
function livesOf(world: DeliveryWorld, partition: number, at: number): number {
  const key = partitionKey(topicId(1), partitionNumber(partition))
  const { delivery, queues } = world.set.viewSet
  const { low, high } = queues.bounds(key)
  const view = delivery.find(popGroup, key)
  const isFresh =
    at >= Math.max(low, view?.next ?? 0) && at < high && view?.ahead.has(at as Offset) !== true
  const retries = [...delivery.retries.of(popGroup)].filter(
    (each) => each.key === key && each.offset === at,
  )
  return Number(isFresh) + Number(view?.open.has(at as Offset) === true) + retries.length
}

async function recovered(storage: MemoryStorage): Promise<DeliveryWorld> {
  const world = new DeliveryWorld()
  world.world.storage = storage
  world.world.epoch = 10
  return world.start()
}

/** Takes all that is left and acknowledges it. @returns what was handed out */
async function drain(world: DeliveryWorld): Promise<string[]> {
  const values: string[] = []
  for (let round = 0; round < 20; round += 1) {
    const held = await world.pop({ max: 100 })
    if (held.length > 0) await world.ack(held)
    values.push(...held.map(({ value }) => value))
    const { ready, leased, retrying } = await world.states()
    if (ready + leased + retrying + world.set.viewSet.delays.size === 0) break
    await world.clock.run(10_000)
  }
  return values
}

async function check(
  storage: MemoryStorage,
  { notes }: { readonly notes: readonly Promised[] },
): Promise<void> {
  const { last, open } = knownOf(notes)
  const world = await recovered(storage)
  for (const partition of [0, 1])
    for (let at = 0; at < 8; at += 1)
      assert.ok(livesOf(world, partition, at) <= 1, `${partition}:${at} lives once`)
  const states = await world.states()
  assert.ok(states.acked >= 0 && states.skipped >= 0, JSON.stringify(states))
  const values = await drain(world)
  assert.equal(new Set(values).size, values.length, `each once: ${values.join()}`)
  for (const [value, to] of last) {
    if (open.has(value)) continue
    const isOver = to === 'acked' || to === 'dead' || to === 'gone'
    assert.equal(values.includes(value), !isOver, `${value} was promised to be ${to}`)
  }
  const { ready, leased, retrying, dead } = await world.states()
  assert.deepEqual([ready, leased, retrying], [0, 0, 0])
  assert.equal(world.set.viewSet.delays.size, 0)
  const letters = world.set.viewSet.letters.find(popGroup)?.places() ?? []
  assert.equal(
    dead,
    letters.reduce((sum, place) => sum + place.open, 0),
  )
}

void test('after a crash at any effect of pops and settlements each message is in one state, and nothing answered is undone', async () => {
  const crashes = await enumerateCrashPoints<Promised>(
    async (storage, note) => new DeliveryScript(storage, note).run(),
    check,
    { modes: ['lose', 'torn'], draws: 1 },
  )
  assert.ok(crashes > 150, `${crashes} crashes were tried`)
})

void test('the same without a crash: all promises of the script are kept', async () => {
  const notes: Promised[] = []
  const script = new DeliveryScript(new MemoryStorage(), (promised) => notes.push(promised))
  await script.run()
  const kinds = new Set(notes.map(({ to }) => to))
  assert.deepEqual([...kinds].toSorted(), ['acked', 'anew', 'dead', 'gone', 'retrying', 'sent'])
  await script.world.world.during(script.world.world.broker?.close() ?? Promise.resolve())
  await check(script.world.world.storage.crash({ mode: 'lose' }), { notes })
})
