import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Scheduler } from '@popmq/kit/testing'
import { type Answer, route, routes } from './routes.ts'
import { echo, type EchoReply } from './testing/echo.ts'
import { answered, ask, assertServes, neverRoutes, raw, refused } from './testing/raw-channel.ts'

void test('requests above the number in flight are refused and the connection lives', async () => {
  const clock = new Scheduler()
  const { channel, seen, closings } = await raw(clock, {
    routes: neverRoutes,
    limits: { requestsInFlight: 2 },
  })
  for (let id = 1; id <= 4; id += 1) channel.send(ask(id))
  await clock.run(0)
  assert.deepEqual(seen, [refused(3, 'too_many_requests'), refused(4, 'too_many_requests')])
  assert.deepEqual(closings, [])
})

void test('reading stops while the requests being handled weigh too much, and goes on at half', async () => {
  const clock = new Scheduler()
  const finish: (() => void)[] = []
  const held = route(
    echo,
    ({ text }) =>
      new Promise<Answer<EchoReply>>((resolve) => {
        finish.push(() => resolve({ reply: { text } }))
      }),
  )
  const { channel, server, seen } = await raw(clock, {
    routes: routes(held),
    limits: { ingressBytes: 10_000 },
  })
  const inFlight = (): number => server.responders[0]?.inFlight ?? 0
  for (let id = 1; id <= 20; id += 1) channel.send(ask(id, '', [new Uint8Array(1_000)]))
  await clock.run(0)
  assert.equal(inFlight(), 10)
  assert.ok(channel.bufferedBytes > 10_000, 'the rest waits at the client')
  for (let done = 0; done < 5; done += 1) finish[done]?.()
  await clock.run(0)
  assert.equal(inFlight(), 5, 'above half: still paused')
  finish[5]?.()
  await clock.run(0)
  assert.equal(inFlight(), 10)
  while (finish.length > 0) {
    for (const each of finish.splice(0)) each()
    await clock.run(0)
  }
  assert.equal(seen.length, 20)
})

void test('a client that never reads its replies is not read from, and is closed after 30 s', async () => {
  const clock = new Scheduler()
  const body = new Uint8Array(1_048_576)
  let handled = 0
  const large = route(echo, ({ text }) => {
    handled += 1
    return { reply: { text }, slices: [body] }
  })
  const { channel, server } = await raw(clock, { routes: routes(large) })
  channel.pause()
  for (let id = 1; id <= 100; id += 1) {
    channel.send(ask(id))
    await clock.run(0)
  }
  assert.ok(handled <= 5, `${handled} requests were handled`)
  await clock.run(29_999)
  assert.equal(server.responders[0]?.isClosed, false)
  await clock.run(1)
  assert.equal(server.responders[0]?.isClosed, true)
  assert.ok(
    server.events.some((event) => event.kind === 'refused' && event.error.name === 'timed_out'),
  )
  await assertServes(clock, server)
})

void test('a client that reads again in time keeps its connection', async () => {
  const clock = new Scheduler()
  const large = route(echo, ({ text }) => ({
    reply: { text },
    slices: [new Uint8Array(5_000_000)],
  }))
  const { channel, server, seen } = await raw(clock, { routes: routes(large) })
  channel.pause()
  channel.send(ask(1))
  channel.send(ask(2))
  await clock.run(20_000)
  channel.resume()
  await clock.run(60_000)
  assert.deepEqual(seen, [answered(1), answered(2)])
  assert.equal(server.responders[0]?.isClosed, false)
})

void test('replies that nobody takes close the connection when they weigh too much', async () => {
  const clock = new Scheduler()
  const waiting: (() => void)[] = []
  const held = route(
    echo,
    ({ text }) =>
      new Promise<Answer<EchoReply>>((resolve) => {
        waiting.push(() => resolve({ reply: { text }, slices: [new Uint8Array(1_000)] }))
      }),
  )
  const bounds = { outboundBytes: 2_000, mostOutboundBytes: 10_000 }
  const { channel, server } = await raw(clock, { routes: routes(held), limits: bounds })
  for (let id = 1; id <= 20; id += 1) channel.send(ask(id))
  await clock.run(0)
  channel.pause()
  for (const answer of waiting) answer()
  await clock.run(0)
  assert.equal(server.responders[0]?.isClosed, true)
})
