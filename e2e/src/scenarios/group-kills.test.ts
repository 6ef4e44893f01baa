/** The main promise of groups on real processes: whoever is killed, the group reads everything, in order. */
import assert from 'node:assert/strict'
import { type Client, type GroupRebalance } from '@popmq/client'
import { Cluster } from '../harness/cluster.ts'
import {
  type MemberReading,
  type Overlap,
  overlapsOf,
  runsOf,
  together,
} from '../harness/group-runs.ts'
import { GroupWatch } from '../harness/group-watch.ts'
import { History } from '../harness/history.ts'
import { asNdjson, type CommitEvent, streamedEvents } from '../harness/key-skew.ts'
import { jsonLines, type Program } from '../harness/program.ts'
import { visibleCount } from '../harness/reading.ts'
import { scenario } from '../harness/scenario.ts'
import { until } from '../harness/waiting.ts'
import { zookeeperEnsemble } from '../harness/zookeeper.ts'

const topic = 'commits'
const group = 'readers'
// Longer than nobody leads, even on a slow machine: who ends meanwhile is no kill.
const idle = '30s'
const sessionMs = 2_000

scenario(
  'the group reads exactly the input while a consumer, the leading coordinator and the leader of ZooKeeper are killed',
  async (scene, t) => {
    const ensemble = await zookeeperEnsemble(scene)
    const zookeeper = `${ensemble.hosts}/popmq`
    const cluster = await Cluster.start(scene, { zookeeper, coordinators: 3, brokers: 3 })
    await cluster.done('topic', 'create', topic, '--partitions', '8')
    await cluster.done('group', 'config', group, `sessionTimeout=${sessionMs}ms`)
    const client = await cluster.connect()
    const watch = scene.keep(new GroupWatch(client, group))
    const events = streamedEvents(5)
    const produce = async (from: number, to: number): Promise<Program> => {
      const file = await scene.file(`commits-${from}.ndjson`, asNdjson(events.slice(from, to)))
      return cluster.startPopmq(
        ...['produce', topic, '--file', file, '--key', 'author', '--rate', '1500/s'],
      )
    }
    const reach = (share: number): Promise<void> =>
      until(async () => (await visibleCount(client, topic)) >= share * events.length, {
        what: `${share} of the messages`,
      })

    const consume = (): Program =>
      cluster.startPopmq('consume', topic, '--group', group, '--until-idle', idle)
    const consumers: [Program, Program, ...Program[]] = [consume(), consume(), consume()]
    await isSettled(watch, 3)
    const half = Math.ceil(events.length / 2)
    const firstHalf = await produce(0, half)
    await reach(1 / 8)
    await (await ensemble.leader()).kill()
    await reach(2 / 8)
    const before = memberIds(watch)
    const first = await killLeaderAndConsumer(cluster, client, consumers[0])
    consumers.push(consume())
    await isSettled(watch, 3, before)
    await isProduced(firstHalf)
    // Only now: however long nobody led, there is something left to read when the next is killed.
    const secondHalf = await produce(half, events.length)
    await reach(5 / 8)
    const second = await killBetweenCommits(client, consumers[1])
    consumers.push(consume())

    await isProduced(secondHalf)
    await until(() => committedOf(watch) === events.length, { what: 'everything to be committed' })
    const { lines: rebalances } = await cluster.done('group', 'rebalances', group)

    for (const consumer of consumers.slice(2)) {
      const { code, stderr } = await consumer.stop('SIGTERM')
      assert.equal(code, 0, stderr)
    }
    await watch.close()
    assert.deepEqual([...watch.problems], [])
    const readings = consumers.map(({ stdout }, index) => ({
      member: `consumer ${index}`,
      lines: jsonLines(stdout),
    }))
    assertReadOnce(events, readings)
    const repeats = repeatsOf(overlapsOf(runsOf(readings)), [first, second])
    assert.ok((repeats[0] ?? 0) > 0, 'what was printed while nobody led could not be committed')
    assert.equal(overlapsOf(runsOf(readings.slice(2))).length, 0, 'graceful moves repeat nothing')
    assertMovesExplain(readings, await client.admin().groups().rebalances(group, { limit: 100 }))

    const { lines: lag } = await cluster.done('group', 'lag', group)
    assert.equal(lag.length, 8)
    for (const { messages, lagMs } of lag)
      assert.deepEqual({ messages, lagMs }, { messages: 0, lagMs: 0 })
    const lost = (rebalances as unknown as GroupRebalance[]).filter(({ triggers }) =>
      triggers.includes('session_over'),
    )
    const moves = lost.flatMap((rebalance) => rebalance.moves)
    const over = lost.flatMap(({ triggers }) => triggers.filter((each) => each === 'session_over'))
    assert.equal(over.length, 2, JSON.stringify(rebalances))
    const darkMs = moves.flatMap((move) => move.darkMs ?? [])
    assert.ok(darkMs.length > 0, JSON.stringify(rebalances))
    assert.ok(
      darkMs.every((ms) => ms >= sessionMs),
      'nobody reads while a session runs out',
    )
    t.diagnostic(`messages that came twice: ${repeats.join(' and ')}, each not committed before`)
    t.diagnostic(`${moves.length} partitions of killed consumers, dark ${darkMs.join(', ')} ms`)
  },
)

async function isProduced(producing: Program): Promise<void> {
  const { code, stderr } = await producing.ended
  assert.equal(code, 0, stderr)
}

function memberIds({ latest }: GroupWatch): ReadonlySet<string> {
  return new Set(latest?.memberList.map(({ memberId }) => memberId))
}

/**
 * Waits until that many members, all of them live, hold all partitions and nothing moves: who was killed is forgotten.
 * One of them was not there `before`: while nobody leads, the last that is known is how it was.
 */
function isSettled(
  watch: GroupWatch,
  members: number,
  before: ReadonlySet<string> = new Set(),
): Promise<void> {
  return until(
    () => {
      const { state, memberList = [] } = watch.latest ?? {}
      if (memberList.every(({ memberId }) => before.has(memberId))) return false
      const isHolding = memberList.every(
        (each) => each.state === 'live' && each.partitions.length > 0,
      )
      return state === 'stable' && memberList.length === members && isHolding
    },
    { what: `${members} members to share the partitions` },
  )
}

function committedOf({ latest }: GroupWatch): number {
  return latest?.progress.reduce((sum, { offset }) => sum + offset, 0) ?? 0
}

/** What is committed, by partition. */
type Committed = ReadonlyMap<number, number>

async function committedNow(client: Client): Promise<Committed> {
  const { progress } = await client.admin().groups().describe(group)
  return new Map(progress.map(({ partition, offset }) => [partition, offset]))
}

/** Stops `victim` where it stands, so that it commits no more, and kills it. */
async function killBetweenCommits(client: Client, victim: Program): Promise<Committed> {
  victim.signal('SIGSTOP')
  const committed = await committedNow(client)
  await victim.stop('SIGKILL')
  return committed
}

/**
 * Kills `victim` once it has printed what it cannot commit, because nobody leads.
 * @returns what is committed for sure: asked for afterwards, it could be what another member has committed since
 */
async function killLeaderAndConsumer(
  cluster: Cluster,
  client: Client,
  victim: Program,
): Promise<Committed> {
  const leader = await cluster.leader()
  const committed = await committedNow(client)
  await leader.stop('SIGKILL')
  const printed = victim.lineCount
  await until(() => victim.lineCount > printed + 50, { what: 'the consumer to carry on' })
  await victim.stop('SIGKILL')
  return committed
}

/**
 * Checks that only that came twice which was not committed when the consumer that had it was killed.
 * @param committed of each consumer that was killed, in their order: who takes over from one may be killed next
 * @returns how many messages, by consumer
 */
function repeatsOf(overlaps: readonly Overlap[], committed: readonly Committed[]): number[] {
  const repeats = committed.map(() => 0)
  for (const overlap of overlaps) {
    const victim = repeats.findIndex((_, index) => overlap.members.includes(`consumer ${index}`))
    const { partition, first, last } = overlap
    const least = committed[victim]?.get(partition) ?? 0
    assert.ok(first >= least, `${least} was committed: ${JSON.stringify(overlap)}`)
    repeats[victim] = (repeats[victim] ?? 0) + last - first + 1
  }
  return repeats
}

function assertReadOnce(events: readonly CommitEvent[], readings: readonly MemberReading[]): void {
  const history = new History()
  for (const { id, author } of events) {
    history.sent(id, author)
    history.acked(id)
  }
  const seen = together(readings)
  history.reading(seen, { isWhole: true })
  assert.deepEqual(history.problems(), [])
  assert.equal(seen.length, events.length)
}

/** A partition has no more hands than it was given into: one run for each grant at most. */
function assertMovesExplain(
  readings: readonly MemberReading[],
  rebalances: readonly GroupRebalance[],
): void {
  const grants = new Map<number, number>()
  for (const { partition, to } of rebalances.flatMap(({ moves }) => moves)) {
    if (to !== undefined) grants.set(partition, (grants.get(partition) ?? 0) + 1)
  }
  const runs = runsOf(readings)
  for (const [partition, granted] of grants) {
    const own = runs.filter((run) => run.partition === partition)
    assert.ok(own.length <= granted, `${granted} grants of ${partition}: ${JSON.stringify(own)}`)
  }
}
