/** A coordinator that stands still for longer than its session lasts, and wakes up believing that it leads. */
import assert from 'node:assert/strict'
import { Cluster, connectTo, isLeading } from '../harness/cluster.ts'
import { overlapsOf, runsOf, together } from '../harness/group-runs.ts'
import { GroupWatch } from '../harness/group-watch.ts'
import { History } from '../harness/history.ts'
import { asNdjson, skewedEvents } from '../harness/key-skew.ts'
import { jsonLines } from '../harness/program.ts'
import { scenario } from '../harness/scenario.ts'
import { until } from '../harness/waiting.ts'
import { zookeeperServer } from '../harness/zookeeper.ts'

/** The standstill can be made longer, for a run by hand: then messages are sent at a rate that outlasts it. */
const stoppedMs = Number(process.env['E2E_STOPPED_MS'] ?? 0)
const topic = 'commits'
const group = 'readers'

scenario(
  'a leading coordinator that is stopped under load and woken after another leads changes nothing, and sends on',
  async (scene, t) => {
    const zookeeper = await zookeeperServer(scene)
    const hosts = `${zookeeper.hosts}/popmq`
    const cluster = await Cluster.start(scene, { zookeeper: hosts, coordinators: 2, brokers: 2 })
    await cluster.done('topic', 'create', topic, '--partitions', '8')
    const client = await cluster.connect()
    const watch = scene.keep(new GroupWatch(client, group))
    const events = skewedEvents(6).slice(0, 14_000)
    const rate = Math.min(1_000, Math.round((events.length * 1_000) / (stoppedMs + 14_000)))
    const file = await scene.file('commits.ndjson', asNdjson(events))
    const consumers = [1, 2, 3].map(() => cluster.startPopmq('consume', topic, '--group', group))
    const lineCounts = (): number[] => consumers.map(({ lineCount }) => lineCount)
    const committed = (): number =>
      watch.latest?.progress.reduce((sum, { offset }) => sum + offset, 0) ?? 0
    await until(
      () =>
        watch.latest?.state === 'stable' &&
        watch.latest.memberList.filter(({ partitions }) => partitions.length > 0).length === 3,
      { what: 'the members to share the partitions' },
    )
    const producing = cluster.startPopmq(
      ...['produce', topic, '--file', file, '--key', 'author', '--rate', `${rate}/s`],
    )
    await until(() => committed() > 1_000, { what: 'the group to be under way' })

    const stopped = await cluster.leader()
    stopped.signal('SIGSTOP')
    const stoppedAt = performance.now()
    const grants = grantsOf(watch)
    const other = cluster.coordinators.find((one) => one !== stopped)
    assert.ok(other !== undefined)
    await until(() => isLeading(other), { what: 'the other coordinator to lead' })
    const ledMs = Math.round(performance.now() - stoppedAt)
    await until(() => performance.now() - stoppedAt >= stoppedMs, {
      what: 'the standstill to be as long as asked',
      withinMs: stoppedMs + 1_000,
    })
    const [before, printed] = [committed(), lineCounts()]
    await until(() => committed() > before + 1_000, { what: 'commits to the new leader' })
    await until(() => lineCounts().every((count, index) => count > (printed[index] ?? 0)), {
      what: 'every consumer to go on',
    })
    assert.deepEqual(grantsOf(watch), grants, 'no partition moved')

    stopped.signal('SIGCONT')
    const wokenAt = committed()
    await until(async () => (await stopped.readiness()) === 200 && !(await isLeading(stopped)), {
      what: 'the woken one to stand by',
    })
    const through = await connectTo(scene, stopped.address)
    const { leader, leaderEpoch, coordinators } = await through.admin().cluster()
    assert.equal(leader, other.address)
    assert.equal(coordinators.length, 2)
    assert.ok((await stopped.metric('popmq_coordinator_redirects_total')) > 0)
    await until(() => committed() > wokenAt + 1_000, { what: 'the group to go on' })
    const produced = await producing.ended
    assert.equal(produced.code, 0, produced.stderr)
    await until(() => committed() === events.length, { what: 'everything to be committed' })
    assert.deepEqual(grantsOf(watch), grants, 'no partition moved')
    await watch.close()
    assert.deepEqual([...watch.problems], [])

    const readings = []
    for (const [index, consumer] of consumers.entries()) {
      const { code, stdout, stderr } = await consumer.stop('SIGTERM')
      assert.equal(code, 0, stderr)
      readings.push({ member: `consumer ${index}`, lines: jsonLines(stdout) })
    }
    assert.deepEqual(overlapsOf(runsOf(readings)), [], 'nothing came twice')
    const history = new History()
    for (const { id, author } of events) {
      history.sent(id, author)
      history.acked(id)
    }
    history.reading(together(readings), { isWhole: true })
    assert.deepEqual(history.problems(), [])
    t.diagnostic(`the other one led after ${ledMs} ms, with epoch ${leaderEpoch}`)
  },
)

/** Who holds what, with its epoch. */
function grantsOf({ latest }: GroupWatch): string[] {
  const members = latest?.memberList ?? []
  return members.flatMap(({ memberId, partitions }) =>
    partitions.map(({ partition, epoch }) => `${memberId} ${partition} ${epoch}`),
  )
}
