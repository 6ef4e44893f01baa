import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MqError } from '@popmq/protocol'
import { FakeRetries } from './testing/fake-retries.ts'
import { fill, texts } from './testing/orders.ts'
import { makeWorld } from './testing/world.ts'

const options = { group: 'g', topics: ['orders'] }

async function setUp(partitions = 1) {
  const world = await makeWorld()
  const retries = new FakeRetries(world.clock)
  world.cluster.parts.push(retries)
  world.cluster.addTopic('orders', partitions)
  await fill(world, texts(3))
  if (partitions > 1) await fill(world, texts(3, 3), 1)
  return { ...world, retries }
}

void test('messages of one partition share a request, and each is told its result in order', async () => {
  const { client, until, clock, retries } = await setUp(2)
  const consumer = client.pullConsumer(options)
  await until(consumer.receive({ max: 1 }))
  await clock.run(2_000)
  const batch = await until(consumer.receive({ max: 100 }))
  const all = batch.toReversed()
  const [first] = all
  assert.ok(first !== undefined && all.length >= 4)
  assert.equal(await until(consumer.retry(first, { retriable: false })), 'dead')
  assert.deepEqual(
    await until(consumer.retry(all)),
    all.map((_, index) => (index === 0 ? 'already' : 'retrying')),
  )
  assert.equal(retries.asides.length, 3)
  assert.deepEqual(await until(consumer.retry([])), [])
  await until(client.close())
})

void test('what a broker cannot do now is tried again; a grant that is not the newest is an error', async () => {
  const { client, until, failure, retries, cluster } = await setUp()
  const consumer = client.pullConsumer(options)
  const [first, second] = await until(consumer.receive())
  assert.ok(first && second)
  let refusals = ['not_leader', 'disk_full', 'broker_busy'] as const satisfies string[] as string[]
  cluster.fault = ({ name }) => {
    const [error] = name === 'set_aside' ? refusals : []
    if (error === undefined) return undefined
    refusals = refusals.slice(1)
    return { kind: 'refuse', error: new MqError(error as 'not_leader', 'not now') }
  }
  assert.equal(await until(consumer.retry(first)), 'retrying')
  assert.deepEqual([refusals, cluster.count('set_aside')], [[], 4])
  retries.leastEpoch = 1_000
  assert.equal((await failure(consumer.retry(second))).name, 'grant_fenced')
  // Known to be fenced: the broker is not asked.
  assert.equal((await failure(consumer.retry(second))).name, 'grant_fenced')
  assert.equal(cluster.count('set_aside'), 5)
  await until(client.close())
})

void test('what is not held, and what nobody may retry, is refused', async () => {
  const { client, until, failure, retries } = await setUp()
  const consumer = client.pullConsumer(options)
  const [message] = await until(consumer.receive())
  assert.ok(message)
  const { topic, offset, attempt } = message
  const elsewhere = { topic, offset, attempt, partition: 5 } as typeof message
  const before = retries.asides.length
  for (const delayMs of [-1, 1.5, 367 * 86_400_000]) {
    assert.equal((await failure(consumer.retry(message, { delayMs }))).name, 'invalid_request')
  }
  const wrong = { retriable: 'no' as unknown as boolean }
  assert.equal((await failure(consumer.retry(message, wrong))).name, 'invalid_request')
  assert.equal((await failure(consumer.retry(elsewhere))).name, 'grant_fenced')
  const broadcast = client.pullConsumer({ ...options, group: 'b', broadcast: true })
  assert.equal((await failure(broadcast.retry(message))).name, 'invalid_request')
  await until(consumer.close())
  assert.equal((await failure(consumer.retry(message))).name, 'closed')
  assert.equal(retries.asides.length, before)
  await until(client.close())
})
