import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Scheduler, SeededRandom } from '@popmq/kit/testing'
import { isMqError, metadata, MqError } from '@popmq/protocol'
import { type Listener, loopbackTransport, respond, route, routes } from '@popmq/transport'
import { ConnectionPool } from './connection-pool.ts'
import { type CoordinatorCall, Coordinators } from './coordinators.ts'

/** Says what a coordinator answers: the leader its metadata, another who leads, as far as it knows. */
type Says = 'leads' | MqError

const knows = (leader: string): MqError =>
  new MqError('not_coordinator', `${leader} leads`, { facts: { leader } })
const knowsNone = new MqError('not_coordinator', 'nobody leads', { retryAfterMs: 100 })

class World {
  readonly clock = new Scheduler()
  readonly transport = loopbackTransport(this.clock)
  readonly says = new Map<string, Says>()
  /** Those that take requests and never answer, as a stopped process does. */
  readonly silent = new Set<string>()
  readonly asked: string[] = []
  readonly #listeners = new Map<string, Listener>()
  readonly pool: ConnectionPool

  constructor() {
    const { clock, transport } = this
    this.pool = new ConnectionPool({ transport, clock, random: new SeededRandom(1), client: 'c' })
  }

  coordinators(...addresses: string[]): Coordinators {
    const { pool, clock } = this
    const random = new SeededRandom(2)
    return new Coordinators(addresses, { pool, clock, random, requestTimeoutMs: 10_000 })
  }

  async start(address: string, says: Says): Promise<void> {
    this.says.set(address, says)
    const answers = routes(route(metadata, () => this.#answer(address)))
    const listener = await this.transport.listen(address, (channel) => {
      const { clock } = this
      respond(channel, { role: 'coordinator', clusterId: () => 'a', clock, routes: answers })
    })
    this.#listeners.set(address, listener)
  }

  async stop(address: string): Promise<void> {
    await this.#listeners.get(address)?.close()
  }

  /** What became of a call within ten minutes of virtual time: whose answer it is, or the name of the error. */
  async call(coordinators: Coordinators, how: Partial<CoordinatorCall> = {}): Promise<string> {
    let outcome: string | undefined
    coordinators.call(metadata, {}, { withinMs: 30_000, isRepeatable: true, ...how }).then(
      ({ clusterId }) => (outcome = clusterId),
      (error: unknown) => (outcome = isMqError(error) ? error.name : String(error)),
    )
    await this.clock.runUntil(() => outcome !== undefined, this.clock.monotonic() + 600_000)
    return outcome ?? 'still trying'
  }

  /** Addresses asked since the last time. */
  seen(): string {
    return this.asked.splice(0).join(' ')
  }

  #answer(address: string) {
    this.asked.push(address)
    if (this.silent.has(address)) return new Promise<never>(() => undefined)
    const says = this.says.get(address)
    if (says instanceof MqError) throw says
    return { reply: { clusterId: address, topics: [], sets: [], brokers: [] } }
  }
}

void test('a standby names the leader, which is asked next and from then on', async () => {
  const world = new World()
  await world.start('a:1', knows('c:1'))
  await world.start('b:1', 'leads')
  await world.start('c:1', 'leads')
  const coordinators = world.coordinators('a:1', 'b:1', 'c:1')
  assert.equal(await world.call(coordinators), 'c:1')
  assert.equal(world.clock.monotonic() < 50, true, 'without a pause')
  assert.equal(await world.call(coordinators), 'c:1')
  assert.equal(world.seen(), 'a:1 c:1 c:1')
})

void test('a leader that nobody configured is followed, and left when it is gone', async () => {
  const world = new World()
  await world.start('a:1', knows('x:1'))
  await world.start('x:1', 'leads')
  const coordinators = world.coordinators('a:1')
  assert.equal(await world.call(coordinators), 'x:1')
  await world.stop('x:1')
  world.says.set('a:1', 'leads')
  assert.equal(await world.call(coordinators), 'a:1')
  assert.equal(world.seen(), 'a:1 x:1 a:1')
})

void test('one that does not know who leads does not hold up the others', async () => {
  const world = new World()
  await world.start('a:1', knowsNone)
  await world.start('b:1', 'leads')
  assert.equal(await world.call(world.coordinators('a:1', 'b:1')), 'b:1')
  assert.ok(world.clock.monotonic() < 50)
})

void test('a leader that falls silent costs one call its time, and the next call nothing', async () => {
  const world = new World()
  await world.start('a:1', 'leads')
  await world.start('b:1', 'leads')
  const coordinators = world.coordinators('a:1', 'b:1')
  world.silent.add('a:1')
  assert.equal(await world.call(coordinators, { withinMs: 8_000 }), 'timed_out')
  const before = world.clock.monotonic()
  assert.equal(await world.call(coordinators), 'b:1')
  assert.ok(world.clock.monotonic() - before < 50)
})

void test('a leader that takes connections and says nothing does not keep a call from the next one', async () => {
  const world = new World()
  await world.transport.listen('m:1', () => undefined)
  for (const address of ['a:1', 'b:1']) await world.start(address, knows('m:1'))
  world.clock.after(6_000, () => {
    world.says.set('a:1', 'leads')
    world.says.set('b:1', knows('a:1'))
  })
  const coordinators = world.coordinators('a:1', 'b:1', 'm:1')
  assert.equal(await world.call(coordinators, { withinMs: 10_000 }), 'a:1')
  assert.ok(world.clock.monotonic() < 8_000)
})

void test('those that are down are passed by without a pause', async () => {
  const world = new World()
  await world.start('c:1', 'leads')
  assert.equal(await world.call(world.coordinators('a:1', 'b:1', 'c:1')), 'c:1')
  assert.ok(world.clock.monotonic() < 50)
})

void test('while nobody leads it asks again at its pace, and finds the one that is elected', async () => {
  const world = new World()
  for (const address of ['a:1', 'b:1', 'c:1']) await world.start(address, knowsNone)
  const coordinators = world.coordinators('a:1', 'b:1', 'c:1')
  world.clock.after(5_000, () => {
    world.says.set('a:1', knows('b:1'))
    world.says.set('b:1', 'leads')
    world.says.set('c:1', knows('b:1'))
  })
  assert.equal(await world.call(coordinators), 'b:1')
  const asked = world.asked.length
  assert.ok(asked < 60, `asked ${asked} times in 5 s`)
  assert.ok(world.clock.monotonic() < 6_500)
})

void test('standbys that still name a leader that is gone are asked until they know the next', async () => {
  const world = new World()
  for (const address of ['a:1', 'b:1']) await world.start(address, knows('dead:1'))
  world.clock.after(6_000, () => {
    world.says.set('a:1', 'leads')
    world.says.set('b:1', knows('a:1'))
  })
  assert.equal(await world.call(world.coordinators('dead:1', 'a:1', 'b:1')), 'a:1')
  assert.ok(world.asked.length < 60, `asked ${world.asked.length} times`)
})

void test('two that name each other are not asked for ever', async () => {
  const world = new World()
  await world.start('a:1', knows('b:1'))
  await world.start('b:1', knows('a:1'))
  const coordinators = world.coordinators('a:1', 'b:1')
  assert.equal(await world.call(coordinators, { withinMs: 3_000 }), 'not_coordinator')
  assert.ok(world.asked.length < 40, `asked ${world.asked.length} times`)
})

void test('a refusal by the leader is the answer, and it is asked again next time', async () => {
  const world = new World()
  await world.start('a:1', new MqError('topic_not_found', 'no such topic'))
  await world.start('b:1', 'leads')
  const coordinators = world.coordinators('a:1', 'b:1')
  assert.equal(await world.call(coordinators), 'topic_not_found')
  assert.equal(await world.call(coordinators), 'topic_not_found')
  assert.equal(world.seen(), 'a:1 a:1')
})

void test('what may have been done and may not be repeated is not asked of another', async () => {
  const world = new World()
  await world.start('a:1', new MqError('registry_unavailable', 'no answer'))
  await world.start('b:1', 'leads')
  const coordinators = world.coordinators('a:1', 'b:1')
  assert.equal(await world.call(coordinators, { isRepeatable: false }), 'registry_unavailable')
  assert.equal(await world.call(coordinators), 'b:1')
})

void test('a leader that is busy is asked again when it says, not another', async () => {
  const world = new World()
  await world.start('a:1', new MqError('topic_busy', 'wait', { retryAfterMs: 300 }))
  await world.start('b:1', 'leads')
  world.clock.after(1_000, () => world.says.set('a:1', 'leads'))
  assert.equal(await world.call(world.coordinators('a:1', 'b:1')), 'a:1')
  assert.ok(world.asked.length <= 5)
})

void test('a request that may be held has that time on top of its limit', async () => {
  const world = new World()
  for (const address of ['a:1', 'b:1']) await world.start(address, 'leads')
  world.silent.add('a:1')
  assert.equal(await world.call(world.coordinators('a:1', 'b:1'), { holdMs: 15_000 }), 'b:1')
  assert.ok(world.clock.monotonic() >= 25_000)
})
