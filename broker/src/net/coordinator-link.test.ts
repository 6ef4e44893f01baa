import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLog } from '@popmq/kit'
import { Scheduler, SeededRandom } from '@popmq/kit/testing'
import {
  brokerOpen,
  brokerSession,
  epoch,
  type GroupId,
  groupReport,
  MqError,
  offset,
  partitionNumber,
  type PartitionState,
  type ReplyOf,
  type RequestOf,
  topicId,
} from '@popmq/protocol'
import { type Listener, loopbackTransport, respond, route, routes } from '@popmq/transport'
import { CoordinatorLink, type LinkEvents, type OpenedSession } from './coordinator-link.ts'

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
  /** What brokers are told; those that have applied less hear of it at once. */
  news: ReplyOf<typeof brokerSession> = { version: 1 }
  opening: OpenedSession | undefined
  readonly sessions: RequestOf<typeof brokerSession>[] = []
  readonly reported: RequestOf<typeof groupReport>[] = []
  events: Partial<LinkEvents> = {}

  link(...coordinators: string[]): CoordinatorLink {
    const { clock, transport } = this
    const ports = { clock, transport, random: new SeededRandom(1), log: silentLog }
    return new CoordinatorLink({ ...ports, coordinators, brokerId: 1, incarnation: 'x' })
  }

  async opened(...coordinators: string[]): Promise<CoordinatorLink> {
    const link = this.link(...coordinators)
    const facts = { address: 'b:1', clusterId: undefined, highestTopicId: 0, highestEpoch: 0 }
    let isOpen = false
    const opening = link.open(facts).then((session) => {
      this.opening = session
      isOpen = true
    })
    await this.clock.runUntil(() => isOpen, this.clock.monotonic() + 60_000)
    await opening
    link.keep({
      update: async () => undefined,
      report: async () => ({ partitions: [], delayed: [] }),
      fenced: (error) => (this.fenced = error),
      ...this.events,
    })
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
      route(brokerSession, async (request) => {
        this.sessions.push(request)
        const { appliedVersion, waitMs } = request
        await this.#answer(address, appliedVersion < this.news.version ? 0 : waitMs)
        const { version, wanted, ...lists } = this.news
        this.news = { version, ...lists }
        const told = wanted === undefined ? {} : { wanted }
        return { reply: { version, ...told, ...(appliedVersion < version ? lists : {}) } }
      }),
      route(groupReport, (request) => {
        this.reported.push(request)
        return { reply: {} }
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

const key = { id: 7, key: new Uint8Array(32) }

void test('the first answer tells all; later news are told one after the other, each as applied only when it is', async () => {
  const world = new World()
  world.news = { version: 3, topics: [], groups: [], handleKeys: [key] }
  await world.start('a:1', 'leads')
  const updates: { readonly names: string; readonly done: () => void }[] = []
  world.events = {
    update: (news) =>
      new Promise((done) => updates.push({ names: Object.keys(news).join(), done })),
  }
  await world.opened('a:1')
  assert.deepEqual(world.opening?.handleKeys, [key])
  await world.clock.run(5_000)
  assert.equal(updates.length, 0, 'what open told is not told again')
  world.news = { version: 4, groups: [] }
  world.sessions.splice(0)
  await world.clock.run(20_000)
  assert.deepEqual(
    updates.map(({ names }) => names),
    ['groups'],
  )
  const during = world.sessions.splice(0)
  assert.ok(during.length >= 9, `the session was renewed ${during.length} times`)
  assert.ok(during.every(({ appliedVersion }) => appliedVersion === 3))
  world.news = { version: 5, groups: [], topics: [] }
  updates[0]?.done()
  await world.clock.run(10)
  assert.deepEqual(
    world.sessions.map(({ appliedVersion }) => appliedVersion),
    [4],
  )
  assert.equal(updates[1]?.names, 'topics,groups')
  updates[1]?.done()
  await world.clock.run(10)
  assert.equal(world.sessions.at(-1)?.appliedVersion, 5)
})

void test('news that cannot be applied end the link, and a close does not wait for them', async () => {
  const world = new World()
  await world.start('a:1', 'leads')
  world.events = { update: () => Promise.reject(new MqError('disk_failed', 'no disk')) }
  await world.opened('a:1')
  world.news = { version: 2, groups: [] }
  await world.clock.run(5_000)
  assert.equal(world.fenced?.name, 'disk_failed')
  world.events = { update: () => new Promise(() => undefined) }
  const link = await world.opened('a:1')
  world.news = { version: 3, groups: [] }
  await world.clock.run(5_000)
  let isClosed = false
  void link.close().then(() => (isClosed = true))
  await world.clock.run(1_000)
  assert.ok(isClosed)
})

void test('a report is sent beside the held request, in parts where it is long', async () => {
  const world = new World()
  await world.start('a:1', 'leads')
  const state = (partition: number): PartitionState => ({
    topicId: topicId(1),
    partition: partitionNumber(partition % 1_024),
    low: offset(0),
    high: offset(1),
    ready: 1,
    leased: 0,
    retrying: 0,
    parked: 0,
    dead: 0,
    acked: 0,
    skipped: 0,
  })
  const delayed = [{ topicId: topicId(1), count: 4 }]
  const report = { partitions: Array.from({ length: 2_500 }, (_, at) => state(at)), delayed }
  const none = { partitions: [], delayed: [] }
  world.events = { report: async (groupId) => (groupId === 9 ? report : none) }
  world.news = { version: 1, wanted: [{ ticket: 1, groupId: 8 as GroupId }] }
  await world.opened('a:1')
  await world.clock.run(100)
  assert.deepEqual(
    world.reported.splice(0),
    [{ brokerId: 1, epoch: 1, ticket: 1, ...none }],
    'asked for with the first answer',
  )
  world.news = { version: 1, wanted: [{ ticket: 2, groupId: 9 as GroupId }] }
  await world.clock.run(3_000)
  assert.deepEqual(
    world.reported.map(({ ticket, more, partitions, delayed: of }) => [
      ticket,
      more,
      partitions.length,
      of.length,
    ]),
    [
      [2, true, 1_000, 0],
      [2, true, 1_000, 0],
      [2, undefined, 500, 1],
    ],
  )
  assert.equal(world.fenced, undefined)
})
