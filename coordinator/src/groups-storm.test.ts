import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CoreMember, keyOf, partitionOf } from './testing/core-member.ts'
import { GroupsWorld } from './testing/groups-world.ts'

/** Adds up, over all rebalances, what moved and how long it was dark. */
function darkTimes(world: GroupsWorld): number[] {
  const { rebalances } = world.cluster.groups.named('g')
  return rebalances
    .latest(100)
    .flatMap(({ moves }) => moves.flatMap(({ darkMs }) => darkMs ?? []))
    .toSorted((a, b) => a - b)
}

const quantile = (sorted: readonly number[], part: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN

void test('while 12 members come and go each second only what moves is revoked, and it is dark briefly', async (t) => {
  const world = await GroupsWorld.start()
  await world.createTopic('t', 200)
  const epochs = new Map<string, number>()
  const touched = new Set<string>()
  const habits = {
    releaseMs: 5,
    revoked: (_: CoreMember, revoking: readonly { topicId: number; partition: number }[]): void => {
      for (const each of revoking) touched.add(`${each.topicId}/${each.partition}`)
    },
  }
  let members = Array.from({ length: 12 }, () => new CoreMember(world, {}, habits).keep())
  await world.run(5_000)
  const group = world.cluster.groups.named('g')
  const read = (): void => {
    for (const member of group.members)
      for (const { reading, partition, epoch } of member.rows)
        epochs.set(`${reading.topicId}/${partition}`, epoch)
  }
  let planned = group.rebalances.count
  for (let second = 0; second < 60; second += 1) {
    read()
    const before = new Map(epochs)
    touched.clear()
    const changes = 2
    members[0]?.leave()
    members = [...members.slice(1), new CoreMember(world, {}, habits).keep()]
    await world.run(1_000)
    read()
    const news = group.rebalances.latest(group.rebalances.count - planned)
    planned = group.rebalances.count
    const moved = new Set(news.flatMap(({ moves }) => moves.map((each) => partitionOf(each))))
    for (const [partition, epoch] of epochs) {
      if (moved.has(partition)) continue
      assert.equal(before.get(partition), epoch, 'what does not move keeps its epoch')
      assert.ok(!touched.has(partition), 'what does not move is not revoked')
    }
    const moves = news.reduce((sum, rebalance) => sum + rebalance.moves.length, 0)
    assert.ok(moves <= changes * Math.ceil(200 / 11), `${moves} moves for ${changes} changes`)
  }
  await world.run(5_000)
  const held = members.flatMap(({ grants }) => grants.map(partitionOf))
  assert.equal(new Set(held).size, 200)
  assert.equal(held.length, 200)
  const dark = darkTimes(world)
  t.diagnostic(
    `moves ${dark.length}, dark time p50 ${quantile(dark, 0.5)} ms, p99 ${quantile(dark, 0.99)} ms`,
  )
  assert.ok(dark.length > 500 && quantile(dark, 0.99) <= 200)
})

void test('a thousand members that join within a second lead to few rebalances and few moves', async (t) => {
  const world = await GroupsWorld.start()
  await world.createTopic('t', 1_024)
  const first = new CoreMember(world).keep()
  await world.run(5_000)
  assert.equal(first.grants.length, 1_024)
  const group = world.cluster.groups.named('g')
  const before = group.rebalances.count
  const members: CoreMember[] = []
  for (let at = 0; at < 999; at += 1) {
    members.push(new CoreMember(world).keep())
    await world.run(1)
  }
  await world.run(5_000)
  const count = group.rebalances.count - before
  const moves = group.rebalances.latest(100).reduce((sum, { moves: all }) => sum + all.length, 0)
  t.diagnostic(`rebalances ${count}, moves ${moves}, the first assignment counted`)
  assert.ok(count <= 12, `${count} rebalances`)
  const loads = [first, ...members].map(({ grants }) => grants.length)
  assert.deepEqual([Math.min(...loads), Math.max(...loads)], [1, 2])
  assert.equal(new Set([first, ...members].flatMap(({ grants }) => grants.map(keyOf))).size, 1_024)
})
