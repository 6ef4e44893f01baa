/** The main promise on real processes: kill −9 at any time, and everything acknowledged is there once, in order. */
import assert from 'node:assert/strict'
import type { Client } from '@popmq/client'
import { Cluster, connectTo, devRole } from '../harness/cluster.ts'
import { History } from '../harness/history.ts'
import { asNdjson, skewedEvents } from '../harness/key-skew.ts'
import { popmq, startPopmq } from '../harness/popmq.ts'
import { jsonLines } from '../harness/program.ts'
import {
  consumeAll,
  readAll,
  sendInto,
  sightings,
  toMessage,
  visibleCount,
} from '../harness/reading.ts'
import type { RoleProcess } from '../harness/role-process.ts'
import { scenario } from '../harness/scenario.ts'
import { until } from '../harness/waiting.ts'

const kills = 5

interface Target {
  readonly role: RoleProcess
  readonly client: Client
  readonly topic: string
  readonly total: number
}

/** Kills and restarts `role` at every sixth of the way. @returns what was visible at each kill */
async function killOnTheWay({ role, client, topic, total }: Target): Promise<number[]> {
  const seen: number[] = []
  for (let kill = 1; kill <= kills; kill += 1) {
    let visible = 0
    await until(
      async () => {
        visible = await visibleCount(client, topic)
        return visible >= (kill * total) / (kills + 1)
      },
      { what: `${kill}/${kills + 1} of ${total} messages`, everyMs: 5 },
    )
    await role.stop('SIGKILL')
    seen.push(visible)
    await role.start()
    const recovered = await visibleCount(client, topic)
    assert.ok(
      recovered >= visible,
      `${visible} messages were visible, ${recovered} after the restart`,
    )
  }
  return seen
}

function assertOnTheWay(seen: readonly number[], total: number): void {
  assert.equal(seen.length, kills)
  for (const [index, visible] of seen.entries()) {
    assert.ok(
      visible > (seen[index - 1] ?? 0),
      `kill ${index + 1} came with ${visible} messages visible, as ${seen.join(', ')}`,
    )
    assert.ok(visible < total, `kill ${index + 1} came after the last message`)
  }
}

scenario(
  'what the command line produces across five kills of the broker comes back exactly once, in order',
  async (scene) => {
    const cluster = await Cluster.start(scene)
    const events = skewedEvents(1)
    const file = await scene.file('commits.ndjson', asNdjson(events))
    await cluster.done('topic', 'create', 'commits', '--partitions', '8')
    const client = await cluster.connect()

    const consuming = cluster.startPopmq('consume', 'commits')
    const producing = cluster.startPopmq(
      'produce',
      'commits',
      '--file',
      file,
      '--key',
      'author',
      '--rate',
      '8k/s',
    )
    const target = { role: cluster.broker(), client, topic: 'commits', total: events.length }
    const seen = await killOnTheWay(target)
    const produced = await producing.ended
    assertOnTheWay(seen, events.length)
    assert.equal(produced.code, 0, produced.stderr)
    const { seconds, ...counts } = producing.lines.at(-1) ?? {}
    assert.deepEqual(counts, { sent: events.length, acked: events.length, failed: 0 })
    assert.equal(typeof seconds, 'number')

    const history = new History()
    for (const { id, author } of events) {
      history.sent(id, author)
      history.acked(id)
    }
    // The consumer that was there all the time saw the same as those that come afterwards.
    await until(() => consuming.lineCount >= events.length, {
      what: 'the running consumer to see everything',
    })
    const consumed = await consuming.stop('SIGTERM')
    assert.equal(consumed.code, 0, consumed.stderr)
    history.reading(sightings(jsonLines(consumed.stdout)), { isWhole: true })
    const lines = await consumeAll(cluster, 'commits')
    history.reading(sightings(lines), { isWhole: true })
    history.reading(sightings(await readAll(client, 'commits')), { isWhole: true })
    assert.deepEqual(history.problems(), [])
    assert.equal(lines.length, events.length)
    const byId = new Map(events.map((event) => [event.id, event]))
    for (const { value } of lines) assert.deepEqual(value, byId.get((value as { id: string }).id))
  },
)

scenario(
  'every receipt of the client library is true across five kills of the broker',
  async (scene) => {
    const cluster = await Cluster.start(scene)
    const events = skewedEvents(2)
    await cluster.done('topic', 'create', 'commits', '--partitions', '8')
    const client = await cluster.connect()
    const history = new History()

    const producer = client.producer({ batchMessages: 100, requestsInFlight: 3 })
    const target = { role: cluster.broker(), client, topic: 'commits', total: events.length }
    const killing = killOnTheWay(target)
    const slice = 100
    const underWay = new Set<Promise<void>>()
    for (let start = 0; start < events.length; start += slice) {
      const messages = events
        .slice(start, start + slice)
        .map((event) => toMessage('commits', event))
      const sent = sendInto(history, producer, messages).finally(() => underWay.delete(sent))
      underWay.add(sent)
      while (underWay.size >= 8) await Promise.race(underWay)
    }
    await Promise.all(underWay)
    assertOnTheWay(await killing, events.length)
    assert.equal(history.ackedCount, events.length)

    history.reading(sightings(await readAll(client, 'commits')), { isWhole: true })
    history.reading(sightings(await consumeAll(cluster, 'commits')), { isWhole: true })
    assert.deepEqual(history.problems(), [])
    assert.equal(await visibleCount(client, 'commits'), events.length)
  },
)

scenario(
  'popmq dev killed with its coordinator and its broker comes back with topics and messages',
  async (scene) => {
    const dev = await devRole(scene, scene.path('data'))
    await dev.start()
    const events = skewedEvents(3).slice(0, 6_000)
    const file = await scene.file('commits.ndjson', asNdjson(events))
    const created = await popmq(['topic', 'create', 'commits', '--partitions', '8'], {
      server: dev.server,
    })
    assert.equal(created.code, 0, created.stderr)
    const client = await connectTo(scene, dev.server)

    const producing = scene.keep(
      startPopmq(['produce', 'commits', '--file', file, '--key', 'author', '--rate', '3k/s'], {
        server: dev.server,
      }),
    )
    const seen = await killOnTheWay({ role: dev, client, topic: 'commits', total: events.length })
    const produced = await producing.ended
    assertOnTheWay(seen, events.length)
    assert.equal(produced.code, 0, produced.stderr)

    const history = new History()
    for (const { id, author } of events) {
      history.sent(id, author)
      history.acked(id)
    }
    const messages = await readAll(client, 'commits')
    history.reading(sightings(messages), { isWhole: true })
    assert.deepEqual(history.problems(), [])
    assert.equal(messages.length, events.length)
  },
)
