/** Members that come under one name, sleep, are stopped and come back, as processes. */
import assert from 'node:assert/strict'
import { type GroupBatch, type GroupDescription, isMqError } from '@popmq/client'
import { present, systemClock } from '@popmq/kit'
import * as protocol from '@popmq/protocol'
import { Caller, webSocketTransport } from '@popmq/transport'
import type { Cluster } from '../harness/cluster.ts'
import { type MemberReading, overlapsOf, runsOf, together } from '../harness/group-runs.ts'
import { GroupWatch } from '../harness/group-watch.ts'
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
import { jsonLines, type Program } from '../harness/program.ts'
import { scenario } from '../harness/scenario.ts'
import { until } from '../harness/waiting.ts'

scenario(
  'of two members with one name the second is told so, and gets in when the first is gone',
  async (scene) => {
    const { cluster, produce, consume } = await orders(scene)
    await produce(100)
    const first = consume('--member', 'a')
    await prints(first, 100)
    const second = consume('--member', 'a')
    const refusals = /request="group_join",error="member_in_use"\} [1-9]/
    await until(async () => refusals.test(await metrics(cluster)), {
      what: 'the second to be refused',
    })
    await produce(100)
    await prints(first, 200)
    assert.equal(second.lineCount, 0)
    const { lines: members } = await cluster.done('group', 'members', group)
    assert.deepEqual(
      members.map(({ member }) => member),
      ['a'],
    )
    await stopped(first)
    await produce(100)
    await prints(second, 100)
    assert.deepEqual(idsOf(await stopped(second)), numbers(200, 300))
    await assertNoLag(cluster)
  },
)

async function metrics({ coordinator }: Cluster): Promise<string> {
  const response = await fetch(`http://${coordinator.address}/metrics`)
  return response.text()
}

scenario('a member cannot commit a partition that was taken from it', async (scene) => {
  const { cluster, produce, consume } = await orders(scene)
  await produce(400)
  const client = await cluster.connect()
  const options = { group, topics: [topic], commit: 'manual', drainMs: 0 } as const
  const slow = client.pullConsumer(options)
  const batches: GroupBatch[] = []
  let delivered = 0
  for await (const batch of slow) {
    batches.push(batch)
    delivered += batch.messages.length
    if (delivered === 400) break
  }
  const other = consume()
  await until(async () => other.lineCount > 0 && (await isSettled(cluster, 2)), {
    what: 'the other one to have its share',
  })
  const ends = await Promise.allSettled(batches.map((batch) => batch.commit()))
  const reasons = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []))
  assert.ok(reasons.length > 0, 'what was taken is refused')
  for (const reason of reasons) assert.ok(isMqError(reason, 'grant_fenced'), String(reason))
  const kept = slow.committed().reduce((sum, { offset }) => sum + offset, 0)
  assert.ok(kept > 0 && kept < 400, `${kept} of the others are committed`)
  await slow.close()
  await prints(other, 400 - kept)
  assert.equal(idsOf(await stopped(other)).length, 400 - kept)
  await assertNoLag(cluster)
})

scenario(
  'whoever says that he holds a partition, and does not, commits nothing of it',
  async (scene) => {
    const { cluster, produce, consume } = await orders(scene)
    await produce(400)
    const first = consume()
    await prints(first, 400)
    const second = consume()
    await until(() => isSettled(cluster, 2), { what: 'the second to have its share' })
    const client = await cluster.connect()
    const { id, memberList } = await client.admin().groups().describe(group)
    const grants = memberList.flatMap(({ memberId, partitions }) =>
      partitions.map((held) => ({ memberId, ...held })),
    )
    // One that has moved has had another epoch before.
    const {
      memberId: owner,
      partition,
      epoch,
    } = present(
      grants.find((grant) => grant.epoch > 1),
      'a partition has moved',
    )
    const other = present(
      memberList.find(({ memberId }) => memberId !== owner),
      'there are two members',
    ).memberId
    const topicId = (await client.admin().describeTopic(topic)).id
    const caller = scene.keep(await callerOf(cluster.coordinator.address))
    const tryCommit = async (memberId: string, under: number): Promise<string[]> => {
      const request = { groupId: protocol.groupId(id), memberId }
      const place = {
        topicId: protocol.topicId(topicId),
        partition: protocol.partitionNumber(partition),
      }
      const entry = { ...place, epoch: protocol.epoch(under), offset: protocol.offset(1_000_000) }
      const asked = { ...request, partitions: [entry] }
      const { reply } = await caller.call(protocol.commit, asked, { timeoutMs: 10_000 })
      return reply.refused.map(({ error }) => protocol.errorName(error))
    }
    assert.deepEqual(await tryCommit(other, epoch), ['grant_fenced'])
    assert.deepEqual(await tryCommit(owner, epoch - 1), ['grant_fenced'])
    assert.deepEqual(await tryCommit(owner, epoch + 1), ['grant_fenced'])
    await assert.rejects(tryCommit('nobody', epoch), (error) => isMqError(error, 'member_unknown'))
    await stopped(first)
    await stopped(second)
    await assertNoLag(cluster)
  },
)

function callerOf(address: string): Promise<Caller> {
  return Caller.connect(webSocketTransport(), address, { clock: systemClock, client: 'stranger' })
}

/** Whether that many members have partitions, and nothing moves. */
async function isSettled(cluster: Cluster, members: number): Promise<boolean> {
  const { lines } = await cluster.done('group', 'describe', group)
  const { state, memberList } = lines[0] as unknown as GroupDescription
  const holding = memberList.filter(({ partitions }) => partitions.length > 0)
  return state === 'stable' && holding.length === members
}

scenario(
  'a member that is stopped for longer than its session is replaced, and woken it joins again',
  async (scene, t) => {
    const { cluster, produce, consume } = await orders(scene)
    await cluster.done('group', 'config', group, 'sessionTimeout=1s')
    const watch = scene.keep(new GroupWatch(await cluster.connect(), group))
    const [sleeper, other] = [consume(), consume()]
    const shares = (): string =>
      (watch.latest?.memberList ?? []).map(({ partitions }) => partitions.length).join(' and ')
    const areSharing = (): boolean => watch.latest?.state === 'stable' && shares() === '2 and 2'
    await until(areSharing, { what: 'both to have two partitions' })
    await produce(200)
    const committed = (): number =>
      watch.latest?.progress.reduce((sum, { offset }) => sum + offset, 0) ?? 0
    await until(() => committed() === 200, { what: 'all to be committed' })
    sleeper.signal('SIGSTOP')
    await until(() => shares() === '4', { what: 'the other one to have all partitions' })
    await produce(200)
    await until(() => sleeper.lineCount + other.lineCount >= 400, { what: 'it to read them' })
    sleeper.signal('SIGCONT')
    await until(areSharing, { what: 'the woken one to be a member again' })
    await produce(200)
    await until(() => sleeper.lineCount + other.lineCount >= 600, { what: 'both to go on' })
    await watch.close()
    assert.deepEqual([...watch.problems], [])
    const readings = [
      { member: 'sleeper', lines: jsonLines(await stopped(sleeper)) },
      { member: 'other', lines: jsonLines(await stopped(other)) },
    ]
    assert.equal(together(readings).length, 600)
    const repeated = overlapsOf(runsOf(readings))
    for (const { members } of repeated) assert.ok(members.includes('sleeper'))
    t.diagnostic(`runs that came twice: ${JSON.stringify(repeated)}`)
    await assertNoLag(cluster)
  },
)

scenario(
  'consumers that are stopped by SIGTERM in the middle leave nothing to be printed twice',
  async (scene) => {
    const { cluster, produce, consume } = await orders(scene)
    const readings: MemberReading[] = []
    for (const round of [1, 2, 3]) {
      const consumers = [consume(), consume()]
      const sending = produce(4_000)
      const printed = (): number => consumers.reduce((sum, { lineCount }) => sum + lineCount, 0)
      await until(() => printed() > 1_000, { what: 'a good part to be printed' })
      const outputs = await Promise.all(consumers.map(stopped))
      await sending
      readings.push(
        ...outputs.map((stdout, index) => ({
          member: `${round}.${index}`,
          lines: jsonLines(stdout),
        })),
      )
    }
    const { lines } = await cluster.done('consume', topic, '--group', group, '--until-idle', '1s')
    readings.push({ member: 'last', lines })
    assert.deepEqual(overlapsOf(runsOf(readings)), [])
    assert.equal(together(readings).length, 12_000)
    await assertNoLag(cluster)
  },
)

scenario('members that broadcast all see everything, and go on where they were', async (scene) => {
  const { produce, consume } = await orders(scene)
  await produce(300)
  const names = ['a', 'b']
  const start = (): Program[] => names.map((name) => consume('--broadcast', '--member', name))
  const before = start()
  for (const program of before) await prints(program, 300)
  for (const program of before) assert.deepEqual(idsOf(await stopped(program)), numbers(0, 300))
  await produce(100)
  const after = start()
  for (const program of after) await prints(program, 100)
  for (const program of after) assert.deepEqual(idsOf(await stopped(program)), numbers(300, 400))
})
