import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Scheduler, SeededRandom } from '@popmq/kit/testing'
import { isMqError } from '@popmq/protocol'
import { MemoryRegistry } from './registry/memory-registry.ts'
import { SlowRegistry } from './testing/slow-registry.ts'
import { HandleKeys } from './core/handle-keys.ts'
import { Leadership } from './core/leadership.ts'
import type { RegistrySession } from './core/registry-port.ts'
import { paths } from './core/registry-values.ts'

const dayMs = 86_400_000

class World {
  readonly clock = new Scheduler()
  readonly random = new SeededRandom(1)
  readonly registry = new SlowRegistry(new MemoryRegistry())

  async lead(): Promise<{ keys: HandleKeys; leadership: Leadership; session: RegistrySession }> {
    const { clock, random } = this
    const session = await this.registry.openSession(() => undefined)
    const names = { coordinator: 'c', deposed: () => undefined }
    const leadership = await Leadership.take({ session, clock, random, ...names })
    const keys = new HandleKeys({ leadership, session, clock, random })
    await keys.restore()
    return { keys, leadership, session }
  }
}

const ids = (keys: HandleKeys): number[] => keys.list().map(({ id }) => id)

void test('the first leader makes a key, and those after it have the same', async () => {
  const world = new World()
  const first = await world.lead()
  assert.deepEqual([ids(first.keys), first.keys.list()[0]?.key.length], [[0], 32])
  const { version } = first.leadership.counters
  assert.ok(first.keys.changedSince(version - 1) && !first.keys.changedSince(version))
  const second = await world.lead()
  assert.deepEqual(second.keys.list(), first.keys.list())
  assert.equal(second.leadership.counters.version, version)
  assert.ok(second.keys.changedSince(version - 1) && !second.keys.changedSince(version))
})

void test('a key that is 30 days old gets a successor, whose own drops the oldest', async () => {
  const world = new World()
  const { keys, leadership } = await world.lead()
  const [oldest] = keys.list()
  await world.clock.run(30 * dayMs - 1)
  assert.equal(await keys.renew(), false)
  const { version } = leadership.counters
  await world.clock.run(1)
  assert.equal(await keys.renew(), true)
  assert.ok(keys.changedSince(version) && !keys.changedSince(leadership.counters.version))
  assert.deepEqual([ids(keys), keys.list()[1]], [[1, 0], oldest])
  assert.equal(await keys.renew(), false)
  await world.clock.run(30 * dayMs)
  // At the time at which another takes the lead, too.
  const next = await world.lead()
  assert.deepEqual(ids(next.keys), [2, 1])
  assert.notDeepEqual(next.keys.list()[0]?.key, next.keys.list()[1]?.key)
})

void test('ids of keys begin again after 255', async () => {
  const world = new World()
  const { session } = await world.lead()
  const key = 'ab'.repeat(32)
  const value = JSON.stringify({ keys: [{ id: 255, key, madeAt: 0 }] })
  await session.commit([
    { kind: 'set', path: paths.handleKeys, value: new TextEncoder().encode(value) },
  ])
  await world.clock.run(31 * dayMs)
  const { keys } = await world.lead()
  assert.deepEqual(ids(keys), [0, 255])
  assert.deepEqual(keys.list()[1]?.key, new Uint8Array(32).fill(0xab))
})

void test('without room for a new key the old ones serve on', async () => {
  const world = new World()
  const { keys } = await world.lead()
  await world.clock.run(31 * dayMs)
  world.registry.isFull = true
  assert.equal(await keys.renew(), false)
  assert.deepEqual(ids(keys), [0])
  world.registry.isFull = false
  assert.equal(await keys.renew(), true)
})

void test('keys that cannot be read are not made anew: handles would be void', async () => {
  const world = new World()
  const { session } = await world.lead()
  await session.commit([
    { kind: 'set', path: paths.handleKeys, value: new TextEncoder().encode('{"keys":7}') },
  ])
  await assert.rejects(world.lead(), (error) => isMqError(error, 'data_directory_invalid'))
})
