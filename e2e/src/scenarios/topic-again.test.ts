/** A topic deleted and made again under a producer and a consumer that run on: the new one holds nothing of the old. */
import assert from 'node:assert/strict'
import { type Client, isMqError, type Message, type MqError } from '@popmq/client'
import { Cluster } from '../harness/cluster.ts'
import { History, type Place } from '../harness/history.ts'
import { readAll, sightings } from '../harness/reading.ts'
import { scenario } from '../harness/scenario.ts'
import { until } from '../harness/waiting.ts'

interface Acked extends Place {
  readonly id: string
  readonly appendedAt: number
}

/** Sends small batches until told to stop, whatever becomes of them. */
class TirelessSender {
  readonly acked: Acked[] = []
  readonly refused = new Map<string, MqError>()
  #isOver = false
  readonly #ended: Promise<void>

  constructor(client: Client, topic: string) {
    this.#ended = this.#run(client, topic)
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await this.#ended
  }

  async #run(client: Client, topic: string): Promise<void> {
    const producer = client.producer()
    for (let serial = 0; !this.#isOver;) {
      const ids = Array.from({ length: 20 }, () => `m${(serial += 1)}`)
      const results = await producer.sendBatchSettled(ids.map((id) => ({ topic, value: { id } })))
      for (const [index, { receipt, error }] of results.entries()) {
        const id = ids[index] ?? ''
        if (receipt === undefined) this.refused.set(id, error)
        else this.acked.push({ ...receipt, id })
      }
    }
    await producer.close()
  }
}

/** Reads until an error ends it. */
async function readUntilError(
  client: Client,
  topic: string,
): Promise<{ seen: Message[]; error: unknown }> {
  const seen: Message[] = []
  await using consumer = client.pullConsumer({ topics: [topic] })
  try {
    for await (const { messages } of consumer) seen.push(...messages)
    return { seen, error: undefined }
  } catch (error) {
    return { seen, error }
  }
}

function ended(error: unknown): string {
  assert.ok(isMqError(error), String(error))
  return error.name
}

scenario(
  'a topic made again under the same name holds no message of the one before',
  async (scene) => {
    const cluster = await Cluster.start(scene)
    const client = await cluster.connect()
    const partitions = 4
    await client.admin().createTopic('orders', { partitions })
    const sender = new TirelessSender(client, 'orders')
    for (let round = 1; round <= 3; round += 1) {
      const goal = sender.acked.length + 400
      await until(() => sender.acked.length >= goal, {
        what: `round ${round}: 400 acknowledgements`,
        everyMs: 2,
      })
      const reading = readUntilError(client, 'orders')
      const old = await client.admin().describeTopic('orders')
      await cluster.done('topic', 'delete', 'orders', '--yes')
      if (round === 3) await cluster.broker().stop('SIGKILL')
      if (round === 3) await cluster.broker().start()
      await cluster.done('topic', 'create', 'orders', '--partitions', String(partitions))
      const made = await client.admin().describeTopic('orders')
      assert.ok(made.id > old.id)
      const { error } = await reading
      assert.equal(ended(error), 'topic_not_found', 'a reader of the old one is told')
      await until(() => sender.acked.some(({ appendedAt }) => appendedAt >= made.createdAt), {
        what: 'the producer to go on with the new topic',
      })
    }
    await sender.stop()
    assert.ok(
      [...sender.refused.values()].every((error) =>
        isMqError(error, 'topic_not_found', 'outcome_unknown'),
      ),
    )

    // Offsets began at 0 again, so receipts of the last incarnation are those since it was made.
    const { createdAt } = await client.admin().describeTopic('orders')
    const history = new History()
    for (const { id, appendedAt, partition, offset } of sender.acked) {
      if (appendedAt < createdAt) continue
      history.sent(id)
      history.acked(id, { partition, offset })
    }
    assert.ok(history.ackedCount > 0 && history.ackedCount < sender.acked.length)
    for (const _ of [1, 2]) {
      const messages = await readAll(client, 'orders')
      history.reading(sightings(messages), { isWhole: true })
      assert.deepEqual(history.problems(), [])
      assert.ok(messages.every(({ appendedAt }) => appendedAt >= createdAt))
      // And the same once more from the disk.
      await cluster.broker().stop('SIGKILL')
      await cluster.broker().start()
    }
  },
)
