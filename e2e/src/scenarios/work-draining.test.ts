/** Workers that are stopped in good order, in the middle: nothing is lost, and nothing is handled twice. */
import assert from 'node:assert/strict'
import type { Client, PoppedMessage, Worker } from '@popmq/client'
import { deferred } from '@popmq/kit'
import { Cluster } from '../harness/cluster.ts'
import { allSettled, lagSums } from '../harness/group-states.ts'
import { asNdjson, skewedEvents, type CommitEvent } from '../harness/key-skew.ts'
import { type Scene, scenario } from '../harness/scenario.ts'
import { until } from '../harness/waiting.ts'
import { WorkCrew } from '../harness/work-crew.ts'

const topic = 'commits'
const group = 'mail'

async function start(scene: Scene): Promise<{ cluster: Cluster; client: Client }> {
  const cluster = await Cluster.start(scene, { brokers: 2 })
  await cluster.done('topic', 'create', topic, '--partitions', '8')
  return { cluster, client: await cluster.connect() }
}

async function producing(
  scene: Scene,
  cluster: Cluster,
  events: readonly CommitEvent[],
): Promise<() => Promise<void>> {
  const file = await scene.file('commits.ndjson', asNdjson(events))
  const program = cluster.startPopmq(
    ...['produce', topic, '--file', file, '--key', 'author', '--rate', '150/s'],
  )
  return async () => {
    const { code, stderr } = await program.ended
    assert.equal(code, 0, stderr)
  }
}

async function assertOnce(
  cluster: Cluster,
  { handled, events }: { handled: readonly string[]; events: readonly CommitEvent[] },
): Promise<void> {
  assert.deepEqual(handled.toSorted(), events.map(({ id }) => id).toSorted())
  const { acked, dead } = await lagSums(cluster, group)
  assert.deepEqual({ acked, dead }, { acked: events.length, dead: 0 })
}

scenario(
  'workers that are stopped by SIGTERM under traffic, and replaced, handle each message once',
  async (scene) => {
    const { cluster, client } = await start(scene)
    const events = skewedEvents(41).slice(0, 1_200)
    const crew = new WorkCrew(scene, cluster, { topic, group, workers: 3, concurrency: 4 })
    const produced = await producing(scene, cluster, events)
    for (const share of [0.2, 0.4, 0.6, 0.8]) {
      await until(() => crew.handledCount >= share * events.length, {
        what: `${share} of the messages to be handled`,
      })
      await crew.replace(Math.round(share * 10) % 3, share < 0.5 ? 'SIGTERM' : 'SIGINT')
    }
    await produced()
    await allSettled(client, { group, sent: events.length })
    await crew.stop()
    const handled = crew.events.flatMap((event) => (event.kind === 'handled' ? [event] : []))
    assert.deepEqual(
      handled.filter(({ attempt }) => attempt > 1),
      [],
    )
    await assertOnce(cluster, { handled: handled.map(({ id }) => id), events })
  },
)

scenario(
  'workers of the library that are closed under traffic handle each message once, and leave nothing in flight',
  async (scene) => {
    const { cluster, client } = await start(scene)
    const events = skewedEvents(42).slice(0, 1_200)
    const handled: string[] = []
    const attempts = new Set<number>()
    const work = async ({ value, attempt }: PoppedMessage): Promise<void> => {
      attempts.add(attempt)
      // A handler that is at work when the worker is closed.
      await client.admin().offsets(topic)
      handled.push((value as CommitEvent).id)
    }
    const begin = (): Worker => client.worker({ group, topics: [topic], concurrency: 8 }, work)
    const produced = await producing(scene, cluster, events)
    let workers = [begin(), begin()]
    for (const share of [0.2, 0.4, 0.6, 0.8]) {
      await until(() => handled.length >= share * events.length, {
        what: `${share} of the messages to be handled`,
      })
      const [first, ...others] = workers
      assert.ok(first)
      await Promise.all([first.close(), first.close()])
      const { state, running, waiting, unsettled, lost, begun, acked } = first.stats()
      assert.deepEqual(
        { state, running, waiting, unsettled, lost },
        { state: 'closed', running: 0, waiting: 0, unsettled: 0, lost: 0 },
      )
      assert.equal(acked, begun)
      workers = [...others, begin()]
    }
    await produced()
    await allSettled(client, { group, sent: events.length })
    await Promise.all(workers.map((worker) => worker.close()))
    assert.deepEqual([...attempts], [1])
    await assertOnce(cluster, { handled, events })
  },
)

scenario(
  'a worker that is closed before its handlers are done gives their messages back at once, as not delivered',
  async (scene) => {
    const { client } = await start(scene)
    const count = 12
    await client
      .producer()
      .sendBatch(Array.from({ length: count }, (_, value) => ({ topic, value })))
    const never = deferred<void>()
    const aborted = new Set<unknown>()
    const slow = client.worker({ group, topics: [topic], concurrency: 4 }, ({ value }, context) => {
      context.signal.addEventListener('abort', () => aborted.add(value))
      return never.promise
    })
    await until(() => slow.stats().running === 4, { what: 'the handlers to be at work' })
    await slow.close({ withinMs: 0 })
    assert.equal(aborted.size, 4)
    const attempts: number[] = []
    const quick = client.worker({ group, topics: [topic] }, (_, { attempt }) => {
      attempts.push(attempt)
    })
    const { acked } = await allSettled(client, { group, sent: count })
    await quick.close()
    assert.equal(acked, count)
    assert.deepEqual(
      attempts,
      Array.from({ length: count }, () => 1),
    )
    never.resolve()
  },
)
