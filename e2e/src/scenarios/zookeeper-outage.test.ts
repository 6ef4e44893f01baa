/** ZooKeeper that is not there, goes away and comes back, says nothing, was emptied, or holds another cluster. */
import assert from 'node:assert/strict'
import type { TestZookeeperServer } from '@popmq/coordinator/testing'
import { brokerRole, Cluster, coordinatorRole, isLeading } from '../harness/cluster.ts'
import { overlapsOf, runsOf, together } from '../harness/group-runs.ts'
import { GroupWatch } from '../harness/group-watch.ts'
import { freePorts } from '../harness/port.ts'
import { jsonLines } from '../harness/program.ts'
import { scenario } from '../harness/scenario.ts'
import { until } from '../harness/waiting.ts'
import { zookeeperServer } from '../harness/zookeeper.ts'

const topic = 'orders'
const group = 'readers'

scenario(
  'a coordinator that finds no ZooKeeper ends with the address in its error',
  async (scene) => {
    const nobody = `127.0.0.1:${await freePorts()}`
    const registry = ['--zookeeper', `${nobody}/popmq`] as const
    const coordinator = coordinatorRole(scene, { id: 1, registry, port: await freePorts() })
    coordinator.launch()
    const { code, stderr } = await coordinator.end()
    assert.equal(code, 1)
    assert.match(stderr, /registry_unavailable: /)
    assert.ok(stderr.includes(nobody), stderr)
  },
)

interface Outage {
  readonly begin: (zookeeper: TestZookeeperServer) => Promise<void> | void
  readonly end: (zookeeper: TestZookeeperServer) => Promise<void> | void
  /** Whether the session of the coordinator ends on the way. */
  readonly isLong: boolean
}

const outages: Readonly<Record<string, Outage>> = {
  'killed and started again at once': {
    begin: (zookeeper) => zookeeper.kill(),
    end: (zookeeper) => zookeeper.launch(),
    isLong: false,
  },
  'silent for longer than the session of the coordinator': {
    begin: (zookeeper) => zookeeper.pause(),
    end: (zookeeper) => zookeeper.resume(),
    isLong: true,
  },
}

scenario(
  'while ZooKeeper is away messages are produced and read, and commits wait until it is back',
  async (scene, t) => {
    const zookeeper = await zookeeperServer(scene)
    const cluster = await Cluster.start(scene, { zookeeper: zookeeper.hosts, brokers: 2 })
    await cluster.done('topic', 'create', topic, '--partitions', '4')
    const client = await cluster.connect()
    const watch = scene.keep(new GroupWatch(client, group))
    const consumers = [1, 2].map(() => cluster.startPopmq('consume', topic, '--group', group))
    const printed = (): number => consumers.reduce((sum, { lineCount }) => sum + lineCount, 0)
    const committed = (): number =>
      watch.latest?.progress.reduce((sum, { offset }) => sum + offset, 0) ?? 0
    // One that knows the way: a new one would ask who leads.
    const producer = client.producer()
    let sent = 0
    const produce = async (count: number): Promise<void> => {
      const ids = Array.from({ length: count }, (_, index) => `${sent + index}`)
      await producer.sendBatch(ids.map((id) => ({ topic, key: id, value: { id } })))
      sent += count
    }
    await produce(1_000)
    await until(() => committed() === sent, { what: 'the first messages to be committed' })

    for (const [sentence, { begin, end, isLong }] of Object.entries(outages)) {
      await begin(zookeeper)
      const beganAt = performance.now()
      await produce(500)
      await until(() => printed() === sent, { what: 'the messages of the outage to be read' })
      if (isLong) {
        await until(async () => !(await isLeading(cluster.coordinator)), {
          what: 'the coordinator to know that it leads no more',
        })
      }
      const awayMs = performance.now() - beganAt
      await produce(500)
      assert.ok(committed() <= sent - 1_000, 'nothing is committed without a registry')
      await end(zookeeper)
      await until(() => committed() === sent, { what: 'the commits to be done' })
      const backMs = performance.now() - beganAt - awayMs
      const times = [awayMs, backMs].map(Math.round)
      t.diagnostic(`${sentence}: away ${times[0]} ms, all committed ${times[1]} ms later`)
    }
    await watch.close()
    assert.deepEqual([...watch.problems], [])
    const readings = []
    for (const [index, consumer] of consumers.entries()) {
      const { code, stdout, stderr } = await consumer.stop('SIGTERM')
      assert.equal(code, 0, stderr)
      readings.push({ member: `consumer ${index}`, lines: jsonLines(stdout) })
    }
    assert.equal(together(readings).length, sent)
    assert.deepEqual(overlapsOf(runsOf(readings)), [], 'nothing came twice')
    for (const broker of cluster.brokers) assert.ok(broker.isRunning)
  },
)

scenario(
  'a ZooKeeper that was emptied is refused, by the coordinator that runs and by the brokers',
  async (scene) => {
    const zookeeper = await zookeeperServer(scene)
    const cluster = await Cluster.start(scene, { zookeeper: zookeeper.hosts })
    const { coordinator } = cluster
    await cluster.done('topic', 'create', topic, '--partitions', '4')
    await cluster.done('produce', topic, '{"id":"a"}')
    await zookeeper.kill()
    await zookeeper.wipe()
    await zookeeper.launch()
    const { code, stderr } = await coordinator.end()
    assert.equal(code, 1, stderr)
    assert.match(stderr, /registry_behind: /)
    // Started again it finds nothing that says that there was a cluster. The brokers know.
    await coordinator.start()
    const ended = await cluster.broker().end()
    assert.equal(ended.code, 1, ended.stderr)
    assert.match(ended.stderr, /registry_behind: /)
  },
)

scenario(
  'a ZooKeeper restored from an older copy is refused, by the coordinator that runs and by the brokers',
  async (scene) => {
    const zookeeper = await zookeeperServer(scene)
    const cluster = await Cluster.start(scene, { zookeeper: zookeeper.hosts })
    const { coordinator } = cluster
    await cluster.done('topic', 'create', topic, '--partitions', '4')
    await zookeeper.kill()
    await zookeeper.save()
    await zookeeper.launch()
    await cluster.done('topic', 'create', 'parcels')
    await cluster.done('produce', 'parcels', '{"id":"a"}')
    await zookeeper.kill()
    await zookeeper.restore()
    await zookeeper.launch()
    const { code, stderr } = await coordinator.end()
    assert.equal(code, 1, stderr)
    assert.match(stderr, /registry_behind: /)
    // Started again it cannot know better. The broker has applied what is missing.
    await coordinator.start()
    const ended = await cluster.broker().end()
    assert.equal(ended.code, 1, ended.stderr)
    assert.match(ended.stderr, /registry_behind: /)
  },
)

scenario('the data of another cluster is refused, and is good for its own', async (scene) => {
  const zookeeper = await zookeeperServer(scene)
  const [port, id] = [await freePorts(), 1]
  const clusters = await Promise.all(
    ['one', 'other'].map((root) =>
      Cluster.start(scene, {
        zookeeper: `${zookeeper.hosts}/${root}`,
        brokerData: () => scene.path(root),
      }),
    ),
  )
  const [one, other] = clusters as [Cluster, Cluster]
  await one.done('topic', 'create', topic)
  await one.done('produce', topic, '{"id":"a"}')
  for (const cluster of clusters) await cluster.broker().stop('SIGTERM')
  const wrong = brokerRole(scene, { id, server: other.server, data: scene.path('one'), port })
  wrong.launch()
  const { code, stderr } = await wrong.end()
  assert.equal(code, 1, stderr)
  assert.match(stderr, /foreign_cluster: /)
  await one.broker().start()
  const { lines } = await one.done('consume', topic, '--until-idle', '500ms')
  assert.deepEqual(
    lines.map(({ value }) => value),
    [{ id: 'a' }],
  )
})
