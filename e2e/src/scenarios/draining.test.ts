/** Stopping in good order: SIGTERM under traffic ends with 0 within 20 s, loses nothing and leaves a clean log. */
import assert from 'node:assert/strict'
import { Cluster, devRole } from '../harness/cluster.ts'
import { History } from '../harness/history.ts'
import { skewedEvents } from '../harness/key-skew.ts'
import { popmq } from '../harness/popmq.ts'
import { readAll, sendInto, sightings, toMessage } from '../harness/reading.ts'
import { scenario } from '../harness/scenario.ts'
import { until } from '../harness/waiting.ts'

const drainMs = 20_000

scenario(
  'SIGTERM under traffic drains the broker: exit code 0, a clean next start, nothing acknowledged lost',
  async (scene) => {
    const cluster = await Cluster.start(scene)
    await cluster.done('topic', 'create', 'commits', '--partitions', '8')
    const client = await cluster.connect()
    const producer = client.producer({ batchMessages: 100 })
    const history = new History()
    const events = skewedEvents(9)
    let next = 0
    let isOver = false
    const send = async (): Promise<void> => {
      while (!isOver) {
        const slice = events.slice(next, next + 100)
        next += slice.length
        if (slice.length === 0) return
        await sendInto(
          history,
          producer,
          slice.map((event) => toMessage('commits', event)),
        )
      }
    }
    // A reader that waits for more is a request that is held.
    const consuming = cluster.startPopmq('consume', 'commits')
    const senders = Array.from({ length: 4 }, send)
    for (const goal of [1_000, 4_000]) {
      await until(() => history.ackedCount >= goal, {
        what: `${goal} acknowledgements`,
        everyMs: 1,
      })
      const { code, signal, stderr } = await cluster.broker().stop('SIGTERM', drainMs)
      assert.deepEqual({ code, signal }, { code: 0, signal: undefined }, stderr)
      assert.ok(next < events.length, 'the stop fell into the traffic')
      const acked = history.ackedCount
      await cluster.broker().start()
      assert.match(cluster.broker().log, / log_recovered .* cutBytes=0 isClean=true /)
      const bounds = await client.admin().offsets('commits')
      assert.ok(bounds.reduce((sum, { high }) => sum + high, 0) >= acked)
    }
    isOver = true
    await Promise.all(senders)
    history.reading(sightings(await readAll(client, 'commits')), { isWhole: true })
    await until(() => consuming.lineCount >= history.ackedCount, {
      what: 'the reader that was there all the time',
    })
    history.reading(sightings(consuming.lines), { isWhole: true })
    assert.deepEqual(history.problems(), [])

    const consumed = await consuming.stop('SIGINT')
    assert.equal(consumed.code, 0, consumed.stderr)
    const coordinator = await cluster.coordinator.stop('SIGTERM', drainMs)
    assert.equal(coordinator.code, 0, coordinator.stderr)
  },
)

scenario(
  'SIGINT stops popmq dev with exit code 0, and its data serves the next start',
  async (scene) => {
    const dev = await devRole(scene, scene.path('data'))
    await dev.start()
    const { server } = dev
    for (const args of [
      ['topic', 'create', 'orders'],
      ['produce', 'orders', '{"id":"a"}'],
    ]) {
      const { code, stderr } = await popmq(args, { server })
      assert.equal(code, 0, stderr)
    }
    const { code, stderr } = await dev.stop('SIGINT', drainMs)
    assert.equal(code, 0, stderr)
    await dev.start()
    assert.match(dev.log, / log_recovered .* isClean=true /)
    const { lines } = await popmq(['consume', 'orders', '--until-idle', '500ms'], { server })
    assert.deepEqual(
      lines.map(({ value }) => value),
      [{ id: 'a' }],
    )
  },
)
