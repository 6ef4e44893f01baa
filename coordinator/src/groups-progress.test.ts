import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type GroupId, type TopicId } from '@popmq/protocol'
import { decodeProgress, groupPaths } from './core/groups/group-values.ts'
import { type CommitFault, MemoryRegistry } from './registry/memory-registry.ts'
import { resetGroup } from './core/groups/group-reset.ts'
import { CoreMember } from './testing/core-member.ts'
import { refused } from './testing/coordinator-world.ts'
import { GroupsWorld } from './testing/groups-world.ts'
import { SlowRegistry } from './testing/slow-registry.ts'

interface Slow {
  readonly world: GroupsWorld
  readonly registry: SlowRegistry
}

async function slow(): Promise<Slow> {
  const registry = new SlowRegistry(new MemoryRegistry())
  const world = await GroupsWorld.start({ registry })
  registry.clock = world.scheduler
  return { world, registry }
}

async function member(world: GroupsWorld, group = 'g'): Promise<CoreMember> {
  const joined = new CoreMember(world, { group })
  await world.during(joined.join())
  await world.during(joined.turn())
  return joined
}

function grantOf(each: CoreMember, partition = 0): CoreMember['grants'][number] {
  const grant = each.grants.find((held) => held.partition === partition)
  assert.ok(grant)
  return grant
}

async function stored({ registry }: GroupsWorld, group = 1): Promise<number[]> {
  const session = await registry.openSession(() => undefined)
  const path = groupPaths.progress(group as GroupId, { topicId: 1 as TopicId })
  const node = await session.read(path)
  assert.ok(node)
  return decodeProgress(path, node).map(({ offset }) => offset)
}

void test('commits of many groups and members share few writes, and one alone is written at once', async (t) => {
  const { world, registry } = await slow()
  await world.createTopic('t', 64)
  const members: CoreMember[] = []
  for (let group = 0; group < 50; group += 1) members.push(await member(world, `g${group}`))
  registry.commitMs = 5
  const { flush } = world.cluster.groups
  const startedMs = world.scheduler.monotonic()
  const [first] = members
  assert.ok(first)
  await world.during(first.commit(grantOf(first), 1))
  assert.equal(world.scheduler.monotonic() - startedMs, 10)
  const before = flush.counts
  const commits = members.flatMap((each) =>
    each.grants.map((grant) => each.commit(grant, 10 + grant.partition)),
  )
  await world.during(Promise.all(commits))
  const written = flush.counts.commits - before.commits
  t.diagnostic(`${commits.length} commits in ${written} registry commits`)
  assert.equal(commits.length, 3_200)
  // The first finds the flush idle; the others share the next round, of 50 nodes in commits of 20.
  assert.ok(written <= 4, `${written} registry commits`)
  assert.equal(world.scheduler.monotonic() - startedMs, 30)
  assert.deepEqual(
    await stored(world, 50),
    Array.from({ length: 64 }, (_, at) => 10 + at),
  )
})

void test('a commit is answered when it is durable, and one of the same offset waits for it', async () => {
  const { world, registry } = await slow()
  await world.createTopic('t', 1)
  const only = await member(world)
  registry.commitMs = 20
  let answered = 0
  const commits = [1, 2].map(() => only.commit(grantOf(only), 5).then(() => (answered += 1)))
  await world.run(30)
  assert.equal(answered, 0)
  await world.during(Promise.all(commits))
  const { commits: so } = registry
  assert.deepEqual(await world.during(only.commit(grantOf(only), 5)), [])
  assert.equal(registry.commits, so, 'an offset that is durable is not written again')
})

void test('whoever is granted a partition goes on behind a commit that is still being written', async () => {
  const { world, registry } = await slow()
  await world.createTopic('t', 1)
  const first = await member(world)
  await world.run(1_000)
  registry.commitMs = 40
  const late = first.commit(grantOf(first), 9)
  first.leave()
  const second = await member(world)
  assert.deepEqual(grantOf(second), { topicId: 1, partition: 0, epoch: 2, offset: 9 })
  const [refusal] = await world.during(late)
  assert.equal(refusal?.error, 5006, 'it was taken away before the answer')
  assert.deepEqual(await world.during(second.commit(grantOf(second), 9)), [])
})

void test('a grant that is made while a commit is tried again starts behind that commit', async () => {
  let drops = 0
  const registry = new MemoryRegistry({
    fault: (ops) => {
      if (drops === 0 || !ops.some(({ path }) => path.startsWith('/progress/'))) return 'none'
      drops -= 1
      return 'dropped'
    },
  })
  const world = await GroupsWorld.start({ registry })
  await world.createTopic('t', 1)
  const first = await member(world)
  await world.run(1_500)
  drops = 3
  const late = first.commit(grantOf(first), 9)
  first.leave()
  const second = await member(world)
  assert.deepEqual(await stored(world), [], 'the commit is not written yet')
  assert.deepEqual([grantOf(second).epoch, grantOf(second).offset], [2, 9])
  await world.during(late)
  assert.deepEqual(await world.during(second.commit(grantOf(second), 10)), [])
})

void test('of two starts that are written at once the first one counts', async () => {
  const { world, registry } = await slow()
  await world.createTopic('t', 1)
  registry.commitMs = 20
  const members = [4, 8].map(
    (start) => new CoreMember(world, {}, { releaseMs: 0, starts: [start] }),
  )
  await world.during(Promise.all(members.map((each) => each.join())))
  const [first] = members
  assert.ok(first)
  await world.during(first.turn())
  assert.equal(grantOf(first).offset, 4)
  assert.equal(world.cluster.leadership.deposed, undefined)
})

void test('a commit without an answer is settled: it counts once, or nobody hears that it does', async () => {
  for (const faults of [['unanswered'], ['dropped'], ['dropped', 'unanswered', 'unanswered']]) {
    const next: CommitFault[] = []
    const fault = (): CommitFault => next.shift() ?? 'none'
    const world = await GroupsWorld.start({ registry: new MemoryRegistry({ fault }) })
    await world.createTopic('t', 2)
    const only = await member(world)
    next.push(...(faults as CommitFault[]))
    assert.deepEqual(await world.during(only.commit(grantOf(only), 5)), [])
    assert.deepEqual(await stored(world), [5])
    assert.deepEqual(await world.during(only.commit(grantOf(only, 1), 7)), [])
    assert.deepEqual(await stored(world), [5, 7])
    assert.equal(world.cluster.leadership.deposed, undefined)
  }
})

void test('a leader that hears no outcome steps down rather than guess', async () => {
  let isSilent = false
  const fault = (): CommitFault => (isSilent ? 'dropped' : 'none')
  const world = await GroupsWorld.start({ registry: new MemoryRegistry({ fault }) })
  await world.createTopic('t', 1)
  const only = await member(world)
  isSilent = true
  await assert.rejects(
    world.during(only.commit(grantOf(only), 5)),
    refused('registry_unavailable', /does not say whether/),
  )
  isSilent = false
  await assert.rejects(world.during(only.commit(grantOf(only), 6)), refused('not_coordinator'))
})

void test('a reset waits for a commit that is being written, and wins', async () => {
  const { world, registry } = await slow()
  await world.createTopic('t', 1)
  const only = await member(world)
  registry.commitMs = 20
  const { topicId, partition } = grantOf(only)
  const commit = only.commit(grantOf(only), 50)
  const offset = 3 as CoreMember['grants'][number]['offset']
  const request = { group: 'g', topicId, offsets: [{ partition, offset }] }
  const reset = resetGroup(world.cluster.groups, request)
  await world.during(commit)
  assert.deepEqual(await stored(world), [50])
  await world.during(reset)
  assert.deepEqual(await stored(world), [3])
  await world.during(only.turn())
  assert.deepEqual(grantOf(only), { topicId, partition, epoch: 2, offset: 3 })
  assert.deepEqual(await world.during(only.commit(grantOf(only), 4)), [])
})
