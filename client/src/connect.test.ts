import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Scheduler, SeededRandom } from '@popmq/kit/testing'
import { loopbackTransport } from '@popmq/transport'
import { connect } from './connect.ts'
import { FakeCluster } from './testing/fake-cluster.ts'
import { makeWorld } from './testing/world.ts'

/** What a promise settled to, if it has. */
function now(promise: Promise<unknown>): Promise<unknown> {
  return Promise.race([promise, Promise.resolve('still trying')])
}

void test('the coordinators are tried in turn until one answers', async () => {
  const clock = new Scheduler()
  const transport = loopbackTransport(clock)
  const cluster = await FakeCluster.start(clock, transport)
  const options = { clock, transport, random: new SeededRandom(1) }
  const connecting = connect(`nobody:1, nobody:2,${cluster.coordinator}`, options)
  await clock.run(1_000)
  const client = await connecting
  assert.equal(client.clusterId, 'a-cluster')
})

void test('when none answers the error says so after the time it was given', async () => {
  const clock = new Scheduler()
  const options = {
    clock,
    transport: loopbackTransport(clock),
    random: new SeededRandom(1),
    connectWithinMs: 2_000,
  }
  const connecting = connect(['nobody:1', 'nobody:2'], options).catch((error: Error) => error.name)
  await clock.run(1_000)
  assert.equal(await now(connecting), 'still trying')
  await clock.run(1_500)
  assert.equal(await now(connecting), 'unreachable')
})

void test('an abort ends connecting', async () => {
  const clock = new Scheduler()
  const abort = new AbortController()
  const options = {
    clock,
    transport: loopbackTransport(clock),
    random: new SeededRandom(1),
    signal: abort.signal,
  }
  const connecting = connect('nobody:1', options).catch((error: Error) => error.name)
  await clock.run(500)
  abort.abort()
  await clock.run(500)
  assert.equal(await now(connecting), 'aborted')
})

void test('an address that is none, or an option that is none, is refused by name', async () => {
  await assert.rejects(connect(''), { name: 'invalid_config' })
  await assert.rejects(connect('localhost'), { name: 'invalid_config' })
  await assert.rejects(connect('localhost:7700', { refreshMs: 1 }), { name: 'invalid_request' })
  await assert.rejects(
    connect('localhost:7700', JSON.parse('{"clok":1}') as object),
    /did you mean clock/,
  )
})

void test('a closed client refuses new parts, and closes once', async () => {
  const { client, until } = await makeWorld()
  await until(Promise.all([client.close(), client.close()]))
  assert.throws(() => client.producer(), { name: 'closed' })
  assert.throws(() => client.pullConsumer({ topics: ['a'] }), { name: 'closed' })
  await assert.rejects(client.admin().listTopics(), { name: 'closed' })
})

void test('a closed client leaves no timer behind', async () => {
  const { client, cluster, clock, until } = await makeWorld()
  cluster.addTopic('orders')
  await until(client.producer().send({ topic: 'orders', value: 1 }))
  const consumer = client.pullConsumer({ topics: ['orders'] })
  await until(consumer.receive())
  await until(client.close())
  await clock.run(120_000)
  const { eventsRun } = clock
  await clock.run(3_600_000)
  assert.equal(clock.eventsRun, eventsRun)
})
