import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLog } from '@popmq/kit'
import { Scheduler, SeededRandom } from '@popmq/kit/testing'
import { brokerOpen, brokerSession, epoch, MqError } from '@popmq/protocol'
import { type Listener, loopbackTransport, respond, route, routes } from '@popmq/transport'
import { CoordinatorLink } from './coordinator-link.ts'

/** How a coordinator answers the held request. */
type Says = 'leads' | 'silent' | MqError

const knows = (leader: string): MqError =>
  new MqError('not_coordinator', `${leader} leads`, { facts: { leader } })
const knowsNone = new MqError('not_coordinator', 'nobody leads', { retryAfterMs: 100 })

class World {
  readonly clock = new Scheduler()
  readonly transport = loopbackTransport(this.clock)
  readonly says = new Map<string, Says>()
  readonly asked: string[] = []
  readonly #listeners = new Map<string, Listener>()
  fenced: MqError | undefined
  epochs = 0

  link(...coordinators: string[]): CoordinatorLink {
    const { clock, transport } = this
    const ports = { clock, transport, random: new SeededRandom(1), log: silentLog }
    return new CoordinatorLink({ ...ports, coordinators, brokerId: 1, incarnation: 'x' })
  }

  async opened(...coordinators: string[]): Promise<CoordinatorLink> {
    const link = this.link(...coordinators)
    const facts = { address: 'b:1', clusterId: undefined, highestTopicId: 0, highestEpoch: 0 }
    let isOpen = false
    const opening = link.open(facts).then(() => (isOpen = true))
    await this.clock.runUntil(() => isOpen, this.clock.monotonic() + 60_000)
    await opening
    link.keep({ topics: () => undefined, fenced: (error) => (this.fenced = error) })
    return link
  }

  async start(address: string, says: Says): Promise<void> {
    this.says.set(address, says)
    const { clock } = this
    const answers = routes(
      route(brokerOpen, async () => {
        await this.#answer(address, 0)
        this.epochs += 1
        return {
          reply: { clusterId: 'c', setId: 1, epoch: epoch(this.epochs), sessionMs: 6_000 },
        }
      }),
      route(brokerSession, async ({ waitMs }) => {
        await this.#answer(address, waitMs)
        return { reply: { version: 1 } }
      }),
    )
    const listener = await this.transport.listen(address, (channel) => {
      respond(channel, { role: 'coordinator', clusterId: () => 'c', clock, routes: answers })
    })
    this.#listeners.set(address, listener)
  }

  async stop(address: string): Promise<void> {
    await this.#listeners.get(address)?.close()
  }

  seen(): string {
    return this.asked.splice(0).join(' ')
  }

  #answer(address: string, waitMs: number): Promise<void> {
    this.asked.push(address)
    const says = this.says.get(address)
    if (says instanceof MqError) throw says
    if (says === 'silent') return new Promise(() => undefined)
    return new Promise((resolve) => this.clock.after(waitMs, resolve))
  }
}

void test('a broker opens with the leader that a standby names, also one that nobody configured', async () => {
  const world = new World()
  await world.start('a:1', knows('x:1'))
  await world.start('x:1', 'leads')
  await world.opened('a:1')
  assert.equal(world.seen().startsWith('a:1 x:1 x:1'), true)
  assert.ok(world.clock.monotonic() < 50, 'without a pause')
})

void test('when its coordinator is deposed the broker goes on with the next one, under its epoch', async () => {
  const world = new World()
  await world.start('a:1', 'leads')
  await world.start('b:1', knows('a:1'))
  await world.start('c:1', knows('a:1'))
  await world.opened('a:1', 'b:1', 'c:1')
  await world.clock.run(5_000)
  world.says.set('a:1', knows('c:1'))
  world.says.set('b:1', knows('c:1'))
  world.says.set('c:1', 'leads')
  world.seen()
  await world.clock.run(5_000)
  assert.match(world.seen(), /^a:1( c:1)+$/)
  assert.deepEqual([world.epochs, world.fenced], [1, undefined])
})

void test('while nobody leads the broker asks at its pace, serves on, and finds the one elected', async () => {
  const world = new World()
  for (const address of ['a:1', 'b:1', 'c:1']) await world.start(address, knowsNone)
  world.says.set('a:1', 'leads')
  await world.opened('a:1', 'b:1', 'c:1')
  world.says.set('a:1', knowsNone)
  await world.clock.run(30_000)
  assert.ok(world.asked.length < 120, `asked ${world.asked.length} times in 30 s`)
  assert.equal(world.fenced, undefined)
  world.says.set('c:1', 'leads')
  world.seen()
  await world.clock.run(5_000)
  assert.match(world.seen(), /c:1 c:1$/)
})

void test('a leader that is gone is passed by at once, one that is silent within its time', async () => {
  const world = new World()
  await world.start('a:1', 'leads')
  await world.start('b:1', 'leads')
  await world.opened('a:1', 'b:1')
  await world.clock.run(10)
  await world.stop('a:1')
  world.seen()
  await world.clock.run(100)
  assert.equal(world.seen(), 'b:1')
  await world.start('a:1', 'leads')
  world.says.set('b:1', 'silent')
  await world.clock.run(10_000)
  assert.match(world.seen(), /b:1( a:1)+$/)
})

void test('a later process with its id is heard, whoever says so', async () => {
  const world = new World()
  await world.start('a:1', knows('b:1'))
  await world.start('b:1', 'leads')
  await world.opened('a:1', 'b:1')
  world.says.set('b:1', new MqError('broker_fenced', 'a later one'))
  await world.clock.run(5_000)
  assert.equal(world.fenced?.name, 'broker_fenced')
})

void test('a close gives the session back to the one that leads', async () => {
  const world = new World()
  await world.start('a:1', knows('b:1'))
  await world.start('b:1', 'leads')
  const link = await world.opened('a:1', 'b:1')
  await world.clock.run(100)
  world.seen()
  let isClosed = false
  void link.close().then(() => (isClosed = true))
  assert.ok(await world.clock.runUntil(() => isClosed, world.clock.monotonic() + 10_000))
  assert.equal(world.seen(), 'b:1')
})
