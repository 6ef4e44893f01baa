import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isMqError, offset, partitionNumber, type ServedGroup, topicId } from '@popmq/protocol'
import { deleteGroup, pauseGroup, setGroup } from './core/groups/group-admin.ts'
import { joinGroup } from './core/groups/group-join.ts'
import { openGroup } from './core/groups/group-open.ts'
import { resetGroup } from './core/groups/group-reset.ts'
import { leaveGroup } from './core/groups/group-session.ts'
import { servedGroup } from './core/groups/served-groups.ts'
import { MemoryRegistry } from './registry/memory-registry.ts'
import { refused } from './testing/coordinator-world.ts'
import { CoreMember } from './testing/core-member.ts'
import { GroupsWorld } from './testing/groups-world.ts'
import { SlowRegistry } from './testing/slow-registry.ts'

/** Two groups, topics a (id 1) and b (id 2), and whoever joined. */
class Served {
  readonly world: GroupsWorld
  readonly members: CoreMember[] = []

  private constructor(world: GroupsWorld) {
    this.world = world
  }

  static async start(): Promise<Served> {
    const world = await GroupsWorld.start()
    await world.createTopic('a', 2)
    await world.createTopic('b', 2)
    return new Served(world)
  }

  get groups(): readonly ServedGroup[] {
    return this.world.cluster.groups.list().map(servedGroup)
  }

  get version(): number {
    return this.world.cluster.version
  }

  async step({ kind, group, topic, at }: Step): Promise<void> {
    const { groups } = this.world.cluster
    const name = 'ab'[topic] ?? 'a'
    const id = topicId(topic + 1)
    switch (kind) {
      case 'open':
        await openGroup(groups, {
          group,
          topics: [name],
          starts: [{ topicId: id, offsets: [offset(at)] }],
        })
        return
      case 'openTagged':
        await openGroup(groups, { group, topics: [name], tags: ['x'] })
        return
      case 'join': {
        const member = new CoreMember(this.world, { group, topics: [name] })
        await member.join()
        this.members.push(member)
        return
      }
      case 'leave':
        this.members.shift()?.leave()
        return
      case 'pause':
        await pauseGroup(groups, { group, topic: name, isPaused: at % 2 === 0 })
        return
      case 'set':
        await setGroup(groups, { group, config: { maxAttempts: `${at + 1}` } })
        return
      case 'reset': {
        const offsets = [{ partition: partitionNumber(at % 2), offset: offset(at) }]
        await resetGroup(groups, { group, topicId: id, offsets })
        return
      }
      case 'delete':
        await deleteGroup(groups, group)
        return
      case 'takeOver':
        await this.world.takeOver()
        return
      default:
        kind satisfies never
    }
  }

  /** No topic is popped while a member reads it; ids of dead letters belong to one group for good. */
  check(deadTopics: Map<number, number>): void {
    for (const group of this.world.cluster.groups.list()) {
      const { id, topics, deadTopicId } = group.record
      for (const { topicId: of, mode } of topics) {
        const readers = [...group.members].filter((member) => member.topics.has(of))
        assert.ok(mode !== 'pop' || readers.length === 0, 'a popped topic has no members')
      }
      assert.ok(deadTopicId > 2)
      assert.equal(deadTopics.get(deadTopicId) ?? id, id)
      deadTopics.set(deadTopicId, id)
    }
  }
}

interface Step {
  readonly kind:
    | 'open'
    | 'openTagged'
    | 'join'
    | 'leave'
    | 'pause'
    | 'set'
    | 'reset'
    | 'delete'
    | 'takeOver'
  readonly group: string
  readonly topic: number
  readonly at: number
}

const refusals = [
  'subscription_conflict',
  'group_not_found',
  'topic_not_found',
  'group_in_use',
] as const

void test('whatever is done to groups, brokers hear of what changed, and of nothing else when somebody joins or opens', async () => {
  const steps = fc.record<Step>({
    kind: fc.constantFrom(
      'open',
      'open',
      'openTagged',
      'join',
      'leave',
      'pause',
      'set',
      'reset',
      'delete',
      'takeOver',
    ),
    group: fc.constantFrom('g', 'h'),
    topic: fc.nat(1),
    at: fc.nat(9),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { minLength: 1, maxLength: 25 }), async (taken) => {
      const served = await Served.start()
      const deadTopics = new Map<number, number>()
      for (const each of taken) {
        const before = JSON.stringify(served.groups)
        const { version } = served
        try {
          const step = served.step(each)
          // It lets time pass by itself.
          await (each.kind === 'takeOver' ? step : served.world.during(step))
        } catch (error) {
          assert.ok(isMqError(error, ...refusals), String(error))
        }
        const isChanged = JSON.stringify(served.groups) !== before
        const isTold = served.world.cluster.groups.served.changedSince(version)
        assert.ok(!isChanged || isTold, `${each.kind} is told`)
        const isQuiet = ['open', 'openTagged', 'join', 'leave', 'takeOver'].includes(each.kind)
        if (isQuiet && !isChanged)
          assert.deepEqual([served.version, isTold], [version, false], `${each.kind} costs nothing`)
        served.check(deadTopics)
      }
    }),
    { numRuns: 100 },
  )
})

void test('a group that an earlier version made gets a place for its dead letters from the next leader', async () => {
  const served = await Served.start()
  const { world } = served
  await world.during(setGroup(world.cluster.groups, { group: 'g', config: {} }))
  const session = await world.registry.openSession(() => undefined)
  const node = await session.read('/groups/g')
  assert.ok(node)
  const { deadTopicId, ...rest } = JSON.parse(new TextDecoder().decode(node.value)) as {
    deadTopicId: number
  }
  assert.equal(deadTopicId, 3)
  const value = new TextEncoder().encode(JSON.stringify(rest))
  await session.commit([{ kind: 'set', path: '/groups/g', value }])
  const { version } = served
  const after = await world.takeOver()
  assert.equal(served.groups[0]?.deadTopicId, 4)
  assert.ok(after.groups.served.changedSince(version))
  assert.equal(after.leadership.counters.topicId, 4)
  await world.takeOver()
  assert.equal(served.groups[0]?.deadTopicId, 4)
})

void test('a reset of many partitions of popped topics fits into the node of the group', async () => {
  const world = await GroupsWorld.start()
  const names = ['a', 'b', 'c', 'd']
  for (const name of names) await world.createTopic(name, 1_024)
  const { groups } = world.cluster
  const offsets = Array.from({ length: 1_024 }, (_, at) => ({
    partition: partitionNumber(at),
    offset: offset(10_000_000_000 + at),
  }))
  const starts = names.map((_, at) => ({
    topicId: topicId(at + 1),
    offsets: offsets.map((each) => each.offset),
  }))
  await world.during(openGroup(groups, { group: 'g', topics: names, starts }))
  for (const { topicId: id } of starts)
    await world.during(resetGroup(groups, { group: 'g', topicId: id, offsets }))
  await world.takeOver()
  const [group] = world.cluster.groups.list().map(servedGroup)
  assert.deepEqual(
    group?.topics.map(({ starts: began, reset }) => [began?.length, reset?.offsets.length]),
    names.map(() => [1_024, 1_024]),
  )
})

void test('who joins while the topic is being made a popped one is refused, also where that write failed once', async () => {
  const registry = new SlowRegistry(new MemoryRegistry())
  const world = await GroupsWorld.start({ registry })
  await world.createTopic('t', 2)
  const join = () =>
    joinGroup(
      world.cluster.groups,
      { group: 'g', topics: ['t'], mode: 'pull', drainMs: 0 },
      { connection: 1, remote: '' },
    )
  const comeAndGo = async (): Promise<void> => {
    leaveGroup(world.cluster.groups, await world.during(join()))
    await world.run(1_000)
  }
  await comeAndGo()
  registry.clock = world.scheduler
  registry.commitMs = 50
  const open = () => openGroup(world.cluster.groups, { group: 'g', topics: ['t'] })
  registry.isFull = true
  await assert.rejects(world.during(open()), refused('disk_full'))
  registry.isFull = false
  await comeAndGo()
  const opening = open()
  await world.run(10)
  const late = assert.rejects(join(), refused('subscription_conflict'))
  await world.during(opening)
  await world.during(late)
  assert.equal(world.cluster.groups.named('g').members.size, 0)
})
