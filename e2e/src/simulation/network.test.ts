import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Scheduler, SeededRandom } from '@popmq/kit/testing'
import { MqError } from '@popmq/protocol'
import type { Channel } from '@popmq/transport'
import type { Life } from './life.ts'
import { silenceMs, SimNetwork } from './network.ts'
import { Trace } from './trace.ts'

/** A server and a client on two nodes, and what each end was told. */
class TwoNodes {
  readonly scheduler = new Scheduler()
  readonly network: SimNetwork
  readonly lives: Record<'server' | 'client', Life> = {
    server: { isOver: false },
    client: { isOver: false },
  }
  readonly heard: Record<'server' | 'client', string[]> = { server: [], client: [] }
  readonly accepted: Channel[] = []

  constructor(seed = 1) {
    const { scheduler } = this
    const trace = new Trace(() => scheduler.monotonic())
    this.network = new SimNetwork({ clock: scheduler, random: new SeededRandom(seed), trace })
  }

  async listen(): Promise<void> {
    await this.network.transport('server', this.lives.server).listen('server:1', (channel) => {
      this.accepted.push(channel)
      this.hear('server', channel)
    })
  }

  async connect(): Promise<Channel> {
    const connecting = this.network.transport('client', this.lives.client).connect('server:1')
    const [channel] = await Promise.all([connecting, this.scheduler.run(10_000)])
    this.hear('client', channel)
    return channel
  }

  hear(node: 'server' | 'client', channel: Channel): void {
    channel.receive({
      message: (bytes) => void this.heard[node].push(String.fromCharCode(...bytes)),
      drained: () => undefined,
      closed: (reason) =>
        void this.heard[node].push(reason instanceof MqError ? reason.name : 'closed'),
    })
  }
}

function send(channel: Channel | undefined, ...words: string[]): void {
  for (const word of words) channel?.send([new TextEncoder().encode(word)])
}

void test('messages arrive whole, once and in order, however different their delays', async () => {
  const nodes = new TwoNodes()
  Object.assign(nodes.network.weather, { lowMs: 0, highMs: 500 })
  await nodes.listen()
  send(await nodes.connect(), 'a', 'b', 'c', 'd', 'e', 'f')
  await nodes.scheduler.run(5_000)
  assert.deepEqual(nodes.heard.server, ['a', 'b', 'c', 'd', 'e', 'f'])
})

void test('an address where nobody listens is unreachable', async () => {
  await assert.rejects(new TwoNodes().connect(), { name: 'unreachable' })
})

void test('a reset is told to both ends, and what was under way may be lost', async () => {
  const outcomes = new Set<string>()
  for (let seed = 1; seed <= 20; seed += 1) {
    const nodes = new TwoNodes(seed)
    await nodes.listen()
    send(await nodes.connect(), 'a')
    nodes.network.resetOne()
    await nodes.scheduler.run(5_000)
    assert.deepEqual(nodes.heard.client, ['connection_lost'])
    outcomes.add(nodes.heard.server.join(' '))
  }
  assert.deepEqual([...outcomes].toSorted(), ['a connection_lost', 'connection_lost'])
})

void test('what an old connection carries may arrive when its successor is open', async () => {
  const orders = new Set<string>()
  for (let seed = 1; seed <= 40; seed += 1) {
    const nodes = new TwoNodes(seed)
    Object.assign(nodes.network.weather, { spikeShare: 0.5, spikeMs: 3_000 })
    await nodes.listen()
    send(await nodes.connect(), 'old')
    nodes.network.resetOne()
    Object.assign(nodes.network.weather, { spikeShare: 0 })
    const connecting = nodes.network.transport('client', nodes.lives.client).connect('server:1')
    await nodes.scheduler.run(10)
    send(await connecting, 'new')
    await nodes.scheduler.run(10_000)
    orders.add(nodes.heard.server.filter((word) => word !== 'connection_lost').join(' '))
  }
  assert.ok(orders.has('new old'), [...orders].join(', '))
  assert.ok(orders.has('new'), [...orders].join(', '))
})

void test('a cut holds messages back until it is mended', async () => {
  const nodes = new TwoNodes()
  await nodes.listen()
  const channel = await nodes.connect()
  nodes.network.cut('client', 'server')
  send(channel, 'a')
  await nodes.scheduler.run(1_000)
  assert.deepEqual(nodes.heard.server, [])
  nodes.network.mend('server', 'client')
  await nodes.scheduler.run(1_000)
  assert.deepEqual(nodes.heard.server, ['a'])
})

void test('a connection that stays cut is given up by both ends', async () => {
  const nodes = new TwoNodes()
  await nodes.listen()
  send(await nodes.connect(), 'a')
  await nodes.scheduler.run(100)
  nodes.network.cut('client', 'server')
  await nodes.scheduler.run(silenceMs + 3_000)
  assert.deepEqual(nodes.heard, { server: ['a', 'connection_lost'], client: ['connection_lost'] })
})

void test('the peers of a process that is gone lose their connections, and it hears nothing more', async () => {
  const nodes = new TwoNodes()
  await nodes.listen()
  const channel = await nodes.connect()
  send(channel, 'a')
  nodes.lives.server.isOver = true
  nodes.network.nodeGone('server', { isPowerCut: false })
  send(nodes.accepted[0], 'from the dead')
  await nodes.scheduler.run(1_000)
  assert.deepEqual(nodes.heard, { server: [], client: ['connection_lost'] })
  await assert.rejects(nodes.connect(), { name: 'unreachable' })
})

void test('an end that is paused takes nothing until it goes on, and the sender knows', async () => {
  const nodes = new TwoNodes()
  await nodes.listen()
  const channel = await nodes.connect()
  nodes.accepted[0]?.pause()
  send(channel, 'abc')
  await nodes.scheduler.run(100)
  assert.equal(channel.bufferedBytes, 3)
  nodes.accepted[0]?.resume()
  await nodes.scheduler.run(100)
  assert.equal(channel.bufferedBytes, 0)
  assert.deepEqual(nodes.heard.server, ['abc'])
})
