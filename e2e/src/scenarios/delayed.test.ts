/** Delayed messages on real processes: each visible once and never before its time, whenever the broker is killed. */
import assert from 'node:assert/strict'
import { type Client, type Message, MqError, type Receipt } from '@popmq/client'
import { present } from '@popmq/kit'
import { SeededRandom } from '@popmq/kit/testing'
import { Cluster } from '../harness/cluster.ts'
import { readAll, visibleCount } from '../harness/reading.ts'
import { type Scene, scenario } from '../harness/scenario.ts'
import { until } from '../harness/waiting.ts'

const topic = 'reminders'

interface Setting {
  readonly cluster: Cluster
  readonly client: Client
}

async function start(scene: Scene): Promise<Setting> {
  const cluster = await Cluster.start(scene)
  await cluster.done('topic', 'create', topic, '--partitions', '4')
  return { cluster, client: await cluster.connect() }
}

async function kill(cluster: Cluster): Promise<void> {
  await cluster.broker().stop('SIGKILL')
  await cluster.broker().start()
}

interface Sending {
  readonly id: string
  /** 0: at once. */
  readonly delayMs: number
}

/** Sends and keeps when each is due, by the broker's clock. */
class Reminders {
  readonly due = new Map<string, number>()
  readonly receipts = new Map<string, Receipt>()
  readonly #client: Client

  constructor(client: Client) {
    this.#client = client
  }

  async send(sendings: readonly Sending[]): Promise<void> {
    await using producer = this.#client.producer({ batchMessages: 50 })
    const receipts = await producer.sendBatch(
      sendings.map(({ id, delayMs }) => ({ topic, key: id, value: { id }, delayMs })),
    )
    for (const [index, { id, delayMs }] of sendings.entries()) {
      const receipt = present(receipts[index], 'each message has a receipt')
      assert.equal(receipt.delayId !== undefined, delayMs > 0)
      this.receipts.set(id, receipt)
      this.due.set(id, receipt.appendedAt + delayMs)
    }
  }

  delayIdOf(id: string): string {
    return present(this.receipts.get(id)?.delayId, 'it is delayed')
  }
}

function idOf({ value }: Message): string {
  return (value as { readonly id: string }).id
}

/** Each of `ids` once, and none before its time. @returns how late the latest was, in ms */
function assertOnTime(
  messages: readonly Message[],
  { ids, due }: { readonly ids: readonly string[]; readonly due: ReadonlyMap<string, number> },
): number {
  assert.deepEqual(messages.map(idOf).toSorted(), ids.toSorted())
  const lates = messages.map((message) => {
    const lateMs = message.appendedAt - present(due.get(idOf(message)), 'it was sent')
    assert.ok(lateMs >= 0, `${idOf(message)} came ${-lateMs} ms before its time`)
    return lateMs
  })
  return Math.max(...lates)
}

scenario(
  'delayed messages are visible once each and never early, while the broker is killed again and again',
  async (scene, t) => {
    const { cluster, client } = await start(scene)
    const random = new SeededRandom(31)
    const reminders = new Reminders(client)
    const total = 3_000
    const producing = (async () => {
      for (let base = 0; base < total; base += 100) {
        const sendings = Array.from({ length: 100 }, (_, index) => ({
          id: `r-${base + index}`,
          delayMs: random.next() < 0.2 ? 0 : 500 + Math.floor(random.next() * 6_000),
        }))
        await reminders.send(sendings)
      }
    })()
    for (const share of [0.1, 0.3, 0.6]) {
      await until(async () => (await visibleCount(client, topic)) >= share * total, {
        what: `${share} of the messages to be visible`,
      })
      await kill(cluster)
    }
    await producing
    await until(async () => (await visibleCount(client, topic)) >= total, {
      what: 'all to be visible',
    })
    assert.equal((await client.admin().delays().list(topic)).total, 0)
    const ids = [...reminders.due.keys()]
    const lateMs = assertOnTime(await readAll(client, topic), { ids, due: reminders.due })
    await kill(cluster)
    assertOnTime(await readAll(client, topic), { ids, due: reminders.due })
    t.diagnostic(`the latest came ${lateMs} ms after its time, with the broker down in between`)
  },
)

type Verdict = 'left' | 'cancelled' | 'moved' | 'delivered'

interface Answer<T> {
  readonly answer: T
  /** The broker was away at first: then the change may have been made before it was answered. */
  readonly wasAway: boolean
}

async function answered<T extends string>(ask: () => Promise<T>): Promise<Answer<T>> {
  let wasAway = false
  for (;;) {
    try {
      const answer = await ask()
      assert.ok(answer !== 'unknown' || wasAway, 'it is known until it is cancelled')
      return { answer, wasAway }
    } catch (error) {
      if (!(error instanceof MqError) || error.retriable === 'no') throw error
      wasAway = true
    }
  }
}

scenario(
  'cancelling and moving delayed messages has a definite answer, under traffic and over a kill of the broker',
  async (scene, t) => {
    const { cluster, client } = await start(scene)
    const random = new SeededRandom(32)
    const reminders = new Reminders(client)
    const total = 600
    const ids = Array.from({ length: total }, (_, index) => `r-${index}`)
    await reminders.send(
      ids.map((id) => ({ id, delayMs: 100 + Math.floor(random.next() * 6_000) })),
    )
    const due = new Map(reminders.due)
    const delays = client.admin().delays()
    const verdicts = new Map<string, Verdict>()
    const change = async (id: string): Promise<Verdict> => {
      const draw = random.next()
      const name = reminders.delayIdOf(id)
      if (draw < 0.3) return 'left'
      if (draw < 0.6) {
        const { answer } = await answered(() => delays.cancel(name))
        return answer === 'delivered' ? 'delivered' : 'cancelled'
      }
      const sooner = draw < 0.75
      const at = sooner ? 0 : present(reminders.due.get(id), 'it was sent') + 3_000
      const { answer, wasAway } = await answered(async () => {
        const { result, dueAt } = await delays.move(name, at)
        if (dueAt !== undefined) due.set(id, dueAt)
        return result
      })
      assert.ok(answer !== 'unknown', 'a moved message is known')
      if (answer === 'delivered' && wasAway && sooner) due.set(id, 0)
      return answer === 'done' ? 'moved' : 'delivered'
    }
    const lane = async (from: number): Promise<void> => {
      for (const id of ids.slice(from, from + total / 6)) verdicts.set(id, await change(id))
    }
    const traffic = reminders.send(
      Array.from({ length: 2_000 }, (_, index) => ({ id: `t-${index}`, delayMs: 0 })),
    )
    const lanes = Promise.all([0, 1, 2, 3, 4, 5].map((sixth) => lane((sixth * total) / 6)))
    await until(() => verdicts.size > total / 3, { what: 'a third of the changes', everyMs: 1 })
    await kill(cluster)
    assert.ok(verdicts.size < total, 'the kill fell into the changes')
    await Promise.all([lanes, traffic])

    const coming = ids.filter((id) => verdicts.get(id) !== 'cancelled')
    await until(async () => (await delays.list(topic)).total === 0, { what: 'the last one' })
    const messages = (await readAll(client, topic)).filter((message) => idOf(message)[0] === 'r')
    assertOnTime(messages, { ids: coming, due })
    const counts = (['left', 'cancelled', 'moved', 'delivered'] as const).map(
      (verdict) => `${[...verdicts.values()].filter((one) => one === verdict).length} ${verdict}`,
    )
    t.diagnostic(counts.join(', '))
    for (const id of ids.slice(0, 20)) {
      const answer = await delays.cancel(reminders.delayIdOf(id))
      const isGone = verdicts.get(id) === 'cancelled'
      assert.equal(answer, isGone ? 'unknown' : 'delivered')
    }
  },
)

scenario(
  'by the command line delayed messages are listed, shown, moved and cancelled, over a kill of the broker',
  async (scene) => {
    const { cluster, client } = await start(scene)
    const produce = async (id: string, ...flags: string[]): Promise<void> => {
      await cluster.done('produce', topic, JSON.stringify({ id }), '--partition', '1', ...flags)
    }
    await produce('tomorrow', '--delay', '24h')
    await produce('next month', '--delay', '30d')
    await produce('next year', '--delay', '365d')
    const { lines: listed } = await cluster.done('delay', 'list', topic)
    const names = listed.map(({ id }) => String(id))
    const shown = async (id: string): Promise<unknown> => {
      const { lines } = await cluster.done('delay', 'show', id)
      const { message, dueAt } = lines[0] as { message: { value: unknown }; dueAt: number }
      return { value: message.value, dueAt }
    }
    const values = [{ id: 'tomorrow' }, { id: 'next month' }, { id: 'next year' }]
    for (const [index, name] of names.entries()) {
      assert.deepEqual(await shown(name), { value: values[index], dueAt: listed[index]?.['dueAt'] })
    }
    await kill(cluster)
    assert.deepEqual((await cluster.done('delay', 'list', topic)).lines, listed)

    const [tomorrow = '', month = '', year = ''] = names
    const { lines: moved } = await cluster.done('delay', 'move', tomorrow, '--at', '+60d')
    assert.equal(moved[0]?.['result'], 'done')
    const { lines: cancelled } = await cluster.done('delay', 'cancel', month, '--yes')
    assert.deepEqual(cancelled, [{ id: month, result: 'done' }])
    await kill(cluster)
    const { lines: left } = await cluster.done('delay', 'list', topic)
    assert.deepEqual(
      left.map(({ id, dueAt }) => [id, dueAt]),
      [
        [tomorrow, moved[0]['dueAt']],
        [year, listed[2]?.['dueAt']],
      ],
    )
    await refused(cluster, 'delay', 'show', month)
    await refused(cluster, 'delay', 'cancel', month, '--yes')

    await cluster.done('delay', 'move', year, '--at', '2020-01-01T00:00:00Z')
    await until(async () => (await visibleCount(client, topic)) === 1, { what: 'it to be visible' })
    await refused(cluster, 'delay', 'move', year, '--at', '+1h')
    assert.deepEqual((await readAll(client, topic)).map(idOf), ['next year'])
    assert.equal((await cluster.done('delay', 'list', topic)).lines.length, 1)
  },
)

async function refused(cluster: Cluster, ...args: string[]): Promise<void> {
  const { code, stderr } = await cluster.popmq(...args)
  assert.equal(code, 1, stderr)
  assert.match(stderr, /message_not_found/)
}
