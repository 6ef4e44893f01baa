import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '@popmq/kit/testing'
import { MqError } from '@popmq/protocol'
import type { Fault } from './testing/faults.ts'
import { fill, texts } from './testing/orders.ts'
import { mail, popWorld } from './testing/pop-world.ts'

const messages = 30
const popping: ReadonlySet<string> = new Set(['pop', 'pop_hint', 'settle', 'group_open'])

function someFault(random: SeededRandom): Fault | undefined {
  const pick = Math.floor(random.next() * 30)
  if (pick === 0) return { kind: 'lose_request' }
  if (pick === 1) return { kind: 'lose_reply' }
  if (pick === 2) return { kind: 'swallow' }
  if (pick < 6) return { kind: 'delay', ms: random.next() * 3_000 }
  if (pick === 6) return { kind: 'refuse', error: new MqError('broker_busy', 'too much') }
  if (pick === 7) return { kind: 'refuse', error: new MqError('not_leader', 'another leads') }
  return undefined
}

/** Two workers over two brokers, with faults for a minute. */
async function run(seed: number): Promise<void> {
  const world = await popWorld({ seed, brokers: 2, partitions: 3 })
  const { client, until, clock, cluster, group } = world
  const random = new SeededRandom(seed)
  const handled = new Map<string, number>()
  const options = { ...mail, concurrency: 3, prefetch: 4, invisibleMs: 4_000, waitMs: 5_000 }
  const begin = () =>
    client.worker(options, async ({ partition, value }, { attempt }) => {
      await new Promise<void>((resolve) => clock.after(random.next() * 6_000, resolve))
      if (attempt < 3 && random.next() < 0.1) throw new Error('not this time')
      const name = `${partition}/${String(value)}`
      handled.set(name, (handled.get(name) ?? 0) + 1)
    })
  const workers = [begin(), begin()]
  for (let partition = 0; partition < 3; partition += 1) {
    await fill(world, texts(messages / 3), partition)
  }
  cluster.fault = ({ name }) => (popping.has(name) ? someFault(random) : undefined)
  await clock.run(20_000)
  cluster.move(2, 1)
  await clock.run(40_000)
  cluster.fault = () => undefined
  await clock.run(60_000)
  await until(Promise.all(workers.map((worker) => worker.close())))
  const stats = workers.map((worker) => worker.stats())
  const sum = (name: 'acked' | 'lost' | 'running' | 'waiting'): number =>
    stats.reduce((total, each) => total + each[name], 0)
  assert.equal(handled.size, messages, `seed ${seed}: every message was handled`)
  // One whose answers were lost until its lease was over is not claimed to be acked.
  assert.ok(sum('acked') <= messages, `seed ${seed}: ${sum('acked')} are told as acked`)
  assert.ok(sum('acked') + sum('lost') >= messages, `seed ${seed}: every ack is told`)
  assert.equal(group.unsettled, 0, `seed ${seed}: nothing is left to do`)
  assert.equal(sum('running') + sum('waiting'), 0)
  assert.equal(group.leased, 0, `seed ${seed}: nothing is left leased`)
  await until(client.close())
}

void test('whatever becomes of requests and answers, each message is handled, and told as acked once at most', async () => {
  for (let seed = 1; seed <= 12; seed += 1) await run(seed)
})
