/** Coordinator and two brokers as processes of their own, each killed on the way. */
import assert from 'node:assert/strict'
import { Cluster } from '../harness/cluster.ts'
import { History } from '../harness/history.ts'
import { asNdjson, skewedEvents } from '../harness/key-skew.ts'
import { consumeAll, readAll, sightings, visibleCount } from '../harness/reading.ts'
import { scenario } from '../harness/scenario.ts'
import { until } from '../harness/waiting.ts'

scenario(
  'while the coordinator is dead messages go through both brokers, and its topics come back with it',
  async (scene) => {
    const cluster = await Cluster.start(scene, { brokers: 2 })
    const events = skewedEvents(4).slice(0, 12_000)
    const file = await scene.file('commits.ndjson', asNdjson(events))
    await cluster.done('topic', 'create', 'commits', '--partitions', '8')
    await cluster.done('topic', 'create', 'empty', '--partitions', '3', 'retention=1h')
    const before = await cluster.done('topic', 'list')
    const client = await cluster.connect()
    const topic = await client.admin().describeTopic('commits')
    assert.deepEqual(new Set(topic.partitions.map(({ leader }) => leader)), new Set([1, 2]))
    const reach = (count: number): Promise<void> =>
      until(async () => (await visibleCount(client, 'commits')) >= count, {
        what: `${count} messages`,
        everyMs: 5,
      })

    const producing = cluster.startPopmq(
      'produce',
      'commits',
      '--file',
      file,
      '--key',
      'author',
      '--rate',
      '4k/s',
    )
    await reach(2_000)
    await cluster.coordinator.stop('SIGKILL')
    // Both brokers go on, though nobody leads the cluster.
    const atDeath = await perBroker(cluster)
    await until(
      async () => {
        const now = await perBroker(cluster)
        return now.every((bytes, index) => bytes > (atDeath[index] ?? 0) + 100_000)
      },
      { what: 'both brokers to take messages without a coordinator' },
    )
    await cluster.coordinator.start()
    assert.deepEqual((await cluster.done('topic', 'list')).lines, before.lines)

    await reach(6_000)
    await cluster.broker(1).stop('SIGKILL')
    await cluster.broker(1).start()
    await reach(8_000)
    await cluster.broker(2).stop('SIGKILL')
    await cluster.broker(2).start()
    const produced = await producing.ended
    assert.equal(produced.code, 0, produced.stderr)

    const history = new History()
    for (const { id, author } of events) {
      history.sent(id, author)
      history.acked(id)
    }
    const messages = await readAll(client, 'commits')
    history.reading(sightings(messages), { isWhole: true })
    history.reading(sightings(await consumeAll(cluster, 'commits')), { isWhole: true })
    assert.deepEqual(history.problems(), [])
    assert.equal(messages.length, events.length)
  },
)

function perBroker(cluster: Cluster): Promise<number[]> {
  return Promise.all(
    cluster.brokers.map((broker) => broker.metric('popmq_broker_log_synced_bytes')),
  )
}

scenario('a broker started before its coordinator waits for it and then serves', async (scene) => {
  const cluster = await Cluster.start(scene, { brokersLater: true })
  await cluster.coordinator.stop('SIGKILL')
  cluster.broker().launch()
  await until(async () => (await cluster.broker().readiness()) === 503, {
    what: 'the broker to listen',
  })
  await until(() => cluster.broker().log.includes('coordinator_away'), {
    what: 'the broker to say that it waits',
  })
  assert.ok(cluster.broker().isRunning)
  await cluster.coordinator.start()
  await cluster.broker().ready()
  await cluster.done('topic', 'create', 'orders', '--partitions', '2')
  await cluster.done('produce', 'orders', '{"id":"a"}')
  assert.deepEqual(
    (await consumeAll(cluster, 'orders')).map(({ value }) => value),
    [{ id: 'a' }],
  )
})
