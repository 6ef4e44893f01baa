import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SeededRandom } from '@popmq/kit/testing'
import { isMqError } from '@popmq/protocol'
import { setGroup } from './core/groups/group-admin.ts'
import { resetGroup } from './core/groups/group-reset.ts'
import type { CommitFault } from './registry/memory-registry.ts'
import { MemoryRegistry } from './registry/memory-registry.ts'
import { CoreMember, type JoinFields, keyOf, partitionOf } from './testing/core-member.ts'
import { GroupHistory } from './testing/group-history.ts'
import { GroupsWorld } from './testing/groups-world.ts'

type Step =
  | { kind: 'join'; name: number; releaseMs: number }
  | { kind: 'leave' | 'kill' | 'freeze' | 'restart'; who: number }
  | { kind: 'commit'; who: number; part: number; steps: number; isLate: boolean }
  | { kind: 'grow' | 'failover' }
  | { kind: 'reset'; part: number; back: number }
  | { kind: 'assignor'; name: string }

const who = fc.nat(11)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('join' as const),
      name: fc.nat(5),
      releaseMs: fc.constantFrom(0, 20, 500, 5_000, Number.POSITIVE_INFINITY),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constantFrom('leave', 'kill', 'freeze', 'restart'), who }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('commit' as const),
      who,
      part: fc.nat(40),
      steps: fc.nat(5),
      isLate: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('grow', 'failover') }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('reset' as const), part: fc.nat(7), back: fc.nat(9) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('assignor' as const),
      name: fc.constantFrom('sticky', 'round-robin', 'range', 'failover'),
    }),
  },
) as fc.Arbitrary<Step>

const script = fc.record({
  seed: fc.nat(),
  faults: fc.constantFrom(0, 0, 0.1, 0.3),
  steps: fc.array(fc.record({ step, restMs: fc.constantFrom(0, 0, 1, 50, 120, 1_500, 7_000) }), {
    minLength: 5,
    maxLength: 40,
  }),
})

/** What a commit may meet: it came too late, or from a coordinator that was being replaced. */
const expected = ['member_unknown', 'not_coordinator', 'registry_unavailable'] as const

class Run {
  readonly world: GroupsWorld
  readonly history = new GroupHistory()
  members: CoreMember[] = []
  partitions = 8
  /** Grants that were given back or lost: nobody may commit under them. */
  readonly #commits: Promise<void>[] = []
  readonly #old: { member: CoreMember; held: CoreMember['grants'][number] }[] = []

  constructor(world: GroupsWorld) {
    this.world = world
  }

  async take(what: Step): Promise<void> {
    switch (what.kind) {
      case 'join':
        return this.join(what.name < 3 ? { member: `static-${what.name}` } : {}, what.releaseMs)
      case 'leave':
      case 'kill':
      case 'freeze':
      case 'restart': {
        const member = this.members[what.who % Math.max(1, this.members.length)]
        if (member === undefined) return
        this.members = this.members.filter((each) => each !== member)
        if (what.kind !== 'restart') return member[what.kind]()
        member.kill()
        return this.join(member.fields, 0)
      }
      case 'commit':
        return this.#commit(what)
      case 'grow':
        this.partitions += 3
        return this.world.growTopic('t', this.partitions)
      case 'failover':
        await this.world.takeOver()
        return
      case 'reset':
        return this.#reset(what)
      case 'assignor':
        await this.world.during(
          setGroup(this.world.cluster.groups, { group: 'g', config: { assignor: what.name } }),
        )
        return
      default:
        return what satisfies never
    }
  }

  join(fields: JoinFields, releaseMs: number): void {
    const told = (member: CoreMember, grants: CoreMember['grants']): void => {
      this.history.told(member, grants)
      for (const held of grants) this.#old.push({ member, held })
    }
    this.members.push(new CoreMember(this.world, fields, { releaseMs, told }).keep())
  }

  #commit({ who: at, part, steps, isLate }: Step & { kind: 'commit' }): void {
    const late = this.#old[part % Math.max(1, this.#old.length)]
    const member = isLate ? late?.member : this.members[at]
    const held = isLate ? late?.held : member?.grants[part % Math.max(1, member.grants.length)]
    if (member?.joined === undefined || held === undefined) return
    this.#commits.push(
      this.history.commit(member, held, steps).catch((error: unknown) => {
        if (!isMqError(error, ...expected)) throw error
      }),
    )
  }

  async #reset({ part, back }: Step & { kind: 'reset' }): Promise<void> {
    const topicId = this.world.cluster.groups.topic('t')?.id
    const { groups } = this.world.cluster
    if (topicId === undefined || groups.list()[0]?.topic(topicId) === undefined) return
    const partition = part as Parameters<typeof resetGroup>[1]['offsets'][number]['partition']
    const name = `${topicId}/${part}`
    const offset = Math.max(
      0,
      this.history.committed(name) - back,
    ) as CoreMember['grants'][number]['offset']
    const request = { group: 'g', topicId, offsets: [{ partition, offset }] }
    await this.world.during(this.history.reset(name, offset, resetGroup(groups, request)))
  }

  /** Everybody behaves from here: in the end every partition is with one member, evenly. */
  async heal(): Promise<void> {
    await this.take({ kind: 'assignor', name: 'sticky' })
    for (const member of this.members) member.habits = { ...member.habits, releaseMs: 0 }
    await this.take({ kind: 'join', name: 8, releaseMs: 0 })
    await this.world.run(40_000)
    await this.world.during(Promise.all(this.#commits))
    const names = new Set<string>()
    const there = this.members.filter(({ joined }) => joined !== undefined)
    const held = there.flatMap(({ grants }) => grants.map(partitionOf))
    assert.equal(new Set(held).size, this.partitions, 'every partition is granted')
    assert.equal(held.length, this.partitions, 'to one member')
    assert.deepEqual(
      there.flatMap(({ revoking }) => revoking),
      [],
    )
    const loads = there.map(({ grants }) => grants.length)
    assert.ok(Math.max(...loads) - Math.min(...loads) <= 1, `evenly, not ${loads.join()}`)
    for (const member of there) for (const grant of member.grants) names.add(keyOf(grant))
    const { group } = { group: this.world.cluster.groups.named('g') }
    const rows = [...group.members].flatMap(({ rows: all }) =>
      [...all].map(({ reading, partition, epoch }) => `${reading.topicId}/${partition}@${epoch}`),
    )
    assert.deepEqual(rows.toSorted(), [...names].toSorted(), 'as the coordinator has it')
    assert.equal(group.isRebalancing, false)
  }
}

void test('whatever members do, an epoch has one owner, only it commits, and in the end all is granted evenly', async () => {
  let accepted = 0
  let fenced = 0
  await fc.assert(
    fc.asyncProperty(script, async ({ seed, faults, steps }) => {
      const random = new SeededRandom(seed)
      let isFaulty = false
      const fault = (): CommitFault => {
        const drawn = isFaulty ? random.next() : 1
        return drawn < faults / 2 ? 'unanswered' : drawn < faults ? 'dropped' : 'none'
      }
      const world = await GroupsWorld.start({ registry: new MemoryRegistry({ fault }), seed })
      await world.createTopic('t', 8)
      const run = new Run(world)
      run.join({ member: 'static-0' }, 0)
      run.join({}, 20)
      await world.run(300)
      isFaulty = true
      for (const { step: what, restMs } of steps) {
        await run.take(what)
        await world.run(restMs)
      }
      isFaulty = false
      await run.heal()
      accepted += run.history.accepted
      fenced += run.history.fenced
      for (const cluster of world.clusters) cluster.close()
    }),
    { numRuns: 200 },
  )
  assert.ok(accepted > 100 && fenced > 20, `${accepted} accepted, ${fenced} refused`)
})
