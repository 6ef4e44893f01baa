/** What an operator does to a group while its members run. */
import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import type { GroupDescription } from '@popmq/client'
import type { Cluster } from '../harness/cluster.ts'
import {
  assertNoLag,
  group,
  idsOf,
  numbers,
  orders,
  prints,
  stopped,
  topic,
} from '../harness/orders.ts'
import { scenario } from '../harness/scenario.ts'
import { until } from '../harness/waiting.ts'

scenario(
  'a reset is told first and then done, and running members read everything again',
  async (scene) => {
    const { cluster, produce, consume } = await orders(scene)
    const [first, second] = [consume(), consume()]
    const printed = (): number => first.lineCount + second.lineCount
    await produce(400)
    await until(() => printed() === 400, { what: 'all to be read' })
    const isRead = async (): Promise<boolean> => {
      const { lines } = await cluster.done('group', 'lag', group)
      return lines.length === 4 && lines.every(({ messages }) => messages === 0)
    }
    await until(isRead, { what: 'all to be committed' })
    const { lines: before } = await cluster.done('group', 'describe', group)

    const words = ['group', 'reset', group, topic, '--to', 'earliest']
    const { lines: told } = await cluster.done(...words, '--dry-run')
    assert.equal(told.length, 4)
    assert.equal(
      told.reduce((sum, { from }) => sum + Number(from), 0),
      400,
    )
    for (const { to, dryRun } of told) assert.deepEqual({ to, dryRun }, { to: 0, dryRun: true })
    assert.deepEqual((await cluster.done('group', 'describe', group)).lines, before)
    assert.equal(printed(), 400)

    const { lines: done } = await cluster.done(...words)
    assert.deepEqual(
      done,
      told.map((move) => ({ ...move, dryRun: false })),
    )
    await until(() => printed() === 800, { what: 'all to be read again' })
    await until(isRead, { what: 'all to be committed again' })
    const ids = [first, second].map(stopped)
    const all = idsOf((await Promise.all(ids)).join(''))
    assert.deepEqual(
      all,
      numbers(0, 400).flatMap((id) => [id, id]),
    )
    const { code, stderr } = await cluster.popmq('group', 'reset', group, 'parcels', '--to', '0')
    assert.equal(code, 1)
    assert.match(stderr, /topic_not_found: /)
  },
)

scenario(
  'a paused group gets nothing until it is resumed, while another goes on',
  async (scene) => {
    const { cluster, produce, consume } = await orders(scene)
    const paused = consume()
    const other = cluster.startPopmq('consume', topic, '--group', 'others')
    await produce(100)
    await prints(paused, 100)
    await prints(other, 100)
    const { lines } = await cluster.done('group', 'pause', group)
    assert.deepEqual(lines, [{ topic, paused: true }])
    await produce(200)
    await prints(other, 300)
    assert.equal(paused.lineCount, 100)
    const { lines: lag } = await cluster.done('group', 'lag', group)
    assert.equal(
      lag.reduce((sum, { messages }) => sum + Number(messages), 0),
      200,
    )
    assert.deepEqual((await cluster.done('group', 'resume', group)).lines, [
      { topic, paused: false },
    ])
    await prints(paused, 300)
    assert.deepEqual(idsOf(await stopped(paused)), numbers(0, 300))
    assert.deepEqual(idsOf(await stopped(other)), numbers(0, 300))
    await assertNoLag(cluster)
  },
)

/** Assignors that users could bring, and what is told of each in place of its assignment. */
const assignors: Readonly<Record<string, { readonly code: string; readonly told?: RegExp }>> = {
  first: {
    code: `const owner = ({ members }) => members[0].memberId
export const assign = (input) => input.topics.flatMap(({ topicId, partitions }) =>
  Array.from({ length: partitions }, (_, partition) => ({ topicId, partition, memberId: owner(input) })))`,
  },
  throws: { code: `export const assign = () => { throw new Error('no idea') }`, told: /no idea/ },
  hangs: { code: 'export const assign = () => { for (;;) {} }', told: /50 ms/ },
  doubles: {
    code: `export const assign = ({ members, topics: [{ topicId }] }) =>
  members.map(({ memberId }) => ({ topicId, partition: 0, memberId }))`,
    told: /./,
  },
  broken: { code: 'export const assign = {', told: /./ },
}

scenario(
  'an assignor of a user is used, and one that throws, hangs or gives nonsense is told and stood in for',
  async (scene) => {
    await mkdir(scene.path('assignors'))
    for (const [name, { code }] of Object.entries(assignors))
      await scene.file(`assignors/${name}.mjs`, code)
    const coordinatorFlags = ['--assignors', scene.path('assignors')]
    const { cluster, produce } = await orders(scene, { coordinatorFlags })
    await produce(100)
    for (const [name, { told }] of Object.entries(assignors)) {
      await cluster.done('group', 'config', name, `assignor=${name}`)
      const consumers = [1, 2].map(() => cluster.startPopmq('consume', topic, '--group', name))
      await until(() => consumers.reduce((sum, { lineCount }) => sum + lineCount, 0) >= 100, {
        what: `the group with the assignor ${name} to read everything`,
      })
      await until(async () => (await partitionsHeld(cluster, name)).length === 2, {
        what: `two members in the group with the assignor ${name}`,
      })
      const held = await partitionsHeld(cluster, name)
      assert.deepEqual(
        held.toSorted((a, b) => a - b),
        told === undefined ? [0, 4] : [2, 2],
        name,
      )
      const { lines } = await cluster.done('group', 'rebalances', name)
      assert.equal(lines[0]?.['assignor'], name)
      assert.equal(lines[0]?.['fallback'] === undefined, told === undefined, name)
      // One that hung is being loaded again when the second member comes.
      const reasons = lines.map(({ fallback }) => String(fallback))
      assert.ok(
        told === undefined || reasons.some((reason) => told.test(reason)),
        reasons.join('; '),
      )
      await Promise.all(consumers.map(stopped))
    }
  },
)

/** How many partitions each member has, once nothing moves. */
async function partitionsHeld(cluster: Cluster, name: string): Promise<number[]> {
  const { lines } = await cluster.done('group', 'describe', name)
  const { state, memberList } = lines[0] as unknown as GroupDescription
  return state === 'stable' ? memberList.map(({ partitions }) => partitions.length) : []
}

scenario(
  'a member that wants other messages than those who are there is refused, and they go on',
  async (scene) => {
    const { cluster, produce, consume } = await orders(scene)
    const there = consume()
    await produce(100)
    await prints(there, 100)
    for (const flags of [['--filter', 'paid'], ['--broadcast']]) {
      const { code, stderr } = await cluster.popmq('consume', topic, '--group', group, ...flags)
      assert.equal(code, 1)
      assert.match(stderr, /^error subscription_conflict: .+ \(.+\)$/m)
    }
    await produce(100)
    await prints(there, 200)
    await stopped(there)
    await assertNoLag(cluster)
  },
)
