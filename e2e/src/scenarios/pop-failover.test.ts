/** Whoever pops is told of messages on any broker, goes on without a broker that died, and settles what others popped. */
import assert from 'node:assert/strict'
import type { Client, PopConsumer, PoppedMessage } from '@popmq/client'
import { present } from '@popmq/kit'
import { Cluster } from '../harness/cluster.ts'
import { allSettled } from '../harness/group-states.ts'
import { type Scene, scenario } from '../harness/scenario.ts'
import { until } from '../harness/waiting.ts'

const topic = 'orders'
const group = 'mail'
const partitions = 6

interface Setting {
  readonly cluster: Cluster
  readonly client: Client
  /** The partitions that a broker leads. */
  readonly ledBy: (broker: number) => number[]
}

async function start(scene: Scene): Promise<Setting> {
  const cluster = await Cluster.start(scene, { brokers: 3 })
  await cluster.done('topic', 'create', topic, '--partitions', String(partitions))
  const client = await cluster.connect()
  const { partitions: all } = await client.admin().describeTopic(topic)
  const ledBy = (broker: number): number[] =>
    all.flatMap(({ partition, leader }) => (leader === broker ? [partition] : []))
  for (const broker of [1, 2, 3]) assert.equal(ledBy(broker).length, 2)
  return { cluster, client, ledBy }
}

/** Receives and acks with a wait that outlasts the scenario: without being told of messages it would get none. */
class Receiver {
  readonly popped: PoppedMessage[] = []
  readonly #stop = new AbortController()
  readonly #consumer: PopConsumer
  readonly #ended: Promise<void>

  constructor(client: Client) {
    this.#consumer = client.popConsumer({ group, topics: [topic], settleWithinMs: 30_000 })
    this.#ended = this.#receive()
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#ended
    await this.#consumer.close()
  }

  async #receive(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      const messages = await this.#consumer
        .receive({ waitMs: 600_000, signal })
        .catch(endOf(signal))
      this.popped.push(...messages)
      for (const { result } of await this.#consumer.ack(messages)) assert.equal(result, 'acked')
    }
  }
}

function endOf(signal: AbortSignal): (error: unknown) => readonly PoppedMessage[] {
  return (error) => {
    if (signal.aborted) return []
    throw error
  }
}

function idsOf(receivers: readonly Receiver[]): number[] {
  const ids = receivers.flatMap(({ popped }) => popped.map(({ value }) => value as number))
  return ids.toSorted((a, b) => a - b)
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index)
}

/** How many requests of a kind the brokers had. */
async function requests(cluster: Cluster, name: string): Promise<number> {
  const counts = await Promise.all(
    cluster.brokers.map(async ({ address }) => {
      const text = await (await fetch(`http://${address}/metrics`)).text()
      const lines = text.matchAll(
        new RegExp(`^popmq_broker_requests_total\\{[^}]*request="${name}"[^}]*\\} (\\d+)$`, 'gm'),
      )
      return [...lines].reduce((sum, [, count]) => sum + Number(count), 0)
    }),
  )
  return counts.reduce((sum, count) => sum + count, 0)
}

scenario(
  'waiting consumers are told of each message on whichever of three brokers, and the others go on when one is killed',
  async (scene, t) => {
    const { cluster, client, ledBy } = await start(scene)
    const receivers = [new Receiver(client), new Receiver(await cluster.connect())]
    for (const receiver of receivers) scene.keep(receiver)
    const producer = client.producer()
    let sent = 0
    const send = async (partition: number): Promise<void> => {
      await producer.send({ topic, partition, value: sent })
      sent += 1
    }
    const allCame = (): Promise<void> =>
      until(() => idsOf(receivers).length >= sent, { what: `${sent} messages to come`, everyMs: 2 })
    await send(0)
    await allCame()
    const before = await requests(cluster, 'pop')
    for (let round = 0; round < 10; round += 1) {
      for (let partition = 0; partition < partitions; partition += 1) {
        await send(partition)
        await allCame()
      }
    }
    const asked = (await requests(cluster, 'pop')) - before
    // Each message may wake both, and whoever was told asks once more whether there is more.
    assert.ok(asked <= 4 * 60, `${asked} pops for 60 messages`)
    t.diagnostic(`${asked} pops for 60 messages`)

    await cluster.broker(2).stop('SIGKILL')
    for (let round = 0; round < 5; round += 1) {
      for (const partition of [...ledBy(1), ...ledBy(3)]) {
        await send(partition)
        await allCame()
      }
    }
    await cluster.broker(2).start()
    for (const partition of ledBy(2)) {
      await send(partition)
      await allCame()
    }
    await allSettled(client, { group, sent })
    await Promise.all(receivers.map((receiver) => receiver.close()))
    assert.deepEqual(idsOf(receivers), numbers(sent))
    for (const { popped } of receivers) assert.ok(popped.every(({ attempt }) => attempt === 1))
  },
)

scenario(
  'what one process has popped another one settles, also after the broker was killed in between',
  async (scene) => {
    const { cluster, client } = await start(scene)
    const count = 60
    const producer = client.producer()
    await producer.sendBatch(
      numbers(count).map((value) => ({ topic, partition: value % partitions, value })),
    )
    const { lines } = await cluster.done(
      ...['pop', topic, '--group', group, '--hold', '--invisible', '10m', '--max', String(count)],
    )
    assert.equal(lines.length, count)
    const handles = lines.map(({ handle }) => String(handle))
    // Of each broker some.
    const [first, second, last] = [0, 1, 2].map((part) =>
      handles.filter((_, index) => index % 3 === part),
    )
    const pop = client.popConsumer({ group, topics: [topic] })
    const settled = async (some: readonly string[] = [], result = 'acked'): Promise<void> => {
      const results = await pop.ack(some)
      assert.deepEqual(new Set(results.map((each) => each.result)), new Set([result]))
    }
    // The leases stand in the log before what settles some of them.
    await settled(first)
    for (const broker of cluster.brokers) await broker.stop('SIGKILL')
    await Promise.all(cluster.brokers.map((broker) => broker.start()))
    assert.deepEqual(await pop.receive({ waitMs: 0 }), [], 'the leases are in force')
    await settled(second)
    await settled(first, 'already')

    await cluster.broker(1).stop('SIGTERM')
    await cluster.broker(1).start()
    const extended = await pop.extend(present(last, 'a third'), { invisibleMs: 60_000 })
    assert.ok(extended.every(({ result }) => result === 'extended'))
    await settled(last)
    await settled([...handles], 'already')
    const { acked } = await allSettled(client, { group, sent: count })
    assert.equal(acked, count)
    await settled(
      handles.map((handle) => `${handle.slice(0, -1)}${handle.endsWith('A') ? 'Q' : 'A'}`),
      'unknown',
    )
  },
)

scenario(
  'of two handles of one message in one call the one that is in force settles it, in whatever order',
  async (scene) => {
    const { client } = await start(scene)
    const producer = client.producer()
    await producer.sendBatch([0, 1].map((value) => ({ topic, partition: 0, value })))
    const pop = client.popConsumer({ group, topics: [topic] })
    const old = await pop.receive({ max: 2, invisibleMs: 100 })
    const current: PoppedMessage[] = []
    while (current.length < 2) {
      current.push(...(await pop.receive({ max: 2, waitMs: 20_000, invisibleMs: 60_000 })))
    }
    const results = async (handles: readonly PoppedMessage[]): Promise<unknown[]> =>
      (await pop.ack(handles)).map(({ result }) => result)
    const [a, b] = old
    assert.ok(a !== undefined && b !== undefined)
    const again = ({ value }: PoppedMessage): PoppedMessage =>
      present(
        current.find((message) => message.value === value),
        'it came again',
      )
    assert.deepEqual(await results([a, again(a)]), ['expired', 'acked'])
    assert.deepEqual(await results([again(b), b]), ['acked', 'already'])
    await allSettled(client, { group, sent: 2 })
  },
)
