import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Scheduler } from '@popmq/kit/testing'
import {
  errorFrameType,
  type ErrorName,
  isMqError,
  limits,
  MqError,
  readFrames,
  replyBit,
} from '@popmq/protocol'
import { Caller } from './caller.ts'
import type { Channel } from './channel.ts'
import { errorFrameParts } from './error-frame.ts'
import { frameParts } from './frame-parts.ts'
import { loopbackTransport } from './loopback.ts'
import { type Answer, route, routes } from './routes.ts'
import { echo, type EchoReply, echoServer } from './testing/echo.ts'
import { helloReply, scripted, settled } from './testing/scripted-server.ts'

const timeoutMs = 1_000
const named =
  (...names: ErrorName[]) =>
  (error: unknown): boolean =>
    isMqError(error, ...names)

void test('a call is settled by its reply, and hello is told', async () => {
  const clock = new Scheduler()
  const server = await echoServer({ clock })
  const caller = await settled(clock, server.connect())
  assert.deepEqual(caller.hello, {
    role: 'broker',
    version: 1,
    clusterId: 'a-cluster',
    frameBodyBytes: limits.frameBodyBytes,
  })
  const slices = [Uint8Array.of(1, 2), Uint8Array.of(3)]
  const { reply, bytes } = await settled(
    clock,
    caller.call(echo, { text: 'hé' }, { timeoutMs, slices }),
  )
  assert.deepEqual(reply, { text: 'hé' })
  assert.deepEqual([...bytes], [1, 2, 3])
  assert.equal(caller.inFlight, 0)
  assert.equal(clock.monotonic(), 0)
})

void test('a call is settled by an error frame with all that it carries', async () => {
  const clock = new Scheduler()
  const refuse = route(echo, () => {
    throw new MqError('broker_busy', 'too many unsynced bytes', {
      retryAfterMs: 20,
      facts: { low: 1, name: 'x' },
    })
  })
  const server = await echoServer({ clock, routes: routes(refuse) })
  const caller = await settled(clock, server.connect())
  await assert.rejects(
    settled(clock, caller.call(echo, { text: 'a' }, { timeoutMs })),
    (error: unknown) => {
      assert.ok(isMqError(error, 'broker_busy'))
      assert.deepEqual(
        [error.what, error.retryAfterMs, error.facts],
        ['too many unsynced bytes', 20, { low: 1, name: 'x' }],
      )
      return true
    },
  )
  assert.equal(caller.closed, false)
})

void test('a call is settled by the clock, and its late reply is dropped', async () => {
  const clock = new Scheduler()
  const answers: ((answer: Answer<EchoReply>) => void)[] = []
  const slow = route(echo, () => new Promise<Answer<EchoReply>>((resolve) => answers.push(resolve)))
  const server = await echoServer({ clock, routes: routes(slow) })
  const caller = await settled(clock, server.connect())
  const first = caller.call(echo, { text: 'a' }, { timeoutMs: 10 })
  const second = caller.call(echo, { text: 'b' }, { timeoutMs: 30 })
  await assert.rejects(settled(clock, first), named('timed_out'))
  assert.equal(clock.monotonic(), 10)
  answers[0]?.({ reply: { text: 'late' } })
  answers[1]?.({ reply: { text: 'in time' } })
  assert.deepEqual((await settled(clock, second)).reply, { text: 'in time' })
  assert.equal(caller.closed, false)
})

void test('calls in flight are settled as lost when the channel closes, later ones say that nothing was sent', async () => {
  const clock = new Scheduler()
  const { caller, channel } = await scripted(clock)
  const reasons: unknown[] = []
  caller.onClosed((reason) => reasons.push(reason))
  const lost = caller.call(echo, { text: 'a' }, { timeoutMs })
  channel.close()
  await assert.rejects(settled(clock, lost), named('connection_lost'))
  assert.equal(caller.closed, true)
  await assert.rejects(caller.call(echo, { text: 'b' }, { timeoutMs }), named('unreachable'))
  assert.throws(() => caller.tell(echo, { text: 'b' }), named('unreachable'))
  caller.onClosed((reason) => reasons.push(reason))
  assert.equal(reasons.length, 2)
  assert.ok(reasons.every((reason) => isMqError(reason, 'connection_lost')))
})

void test('after close, calls in flight are lost and new ones are refused as closed', async () => {
  const clock = new Scheduler()
  const { caller } = await scripted(clock)
  const reasons: unknown[] = []
  caller.onClosed((reason) => reasons.push(reason))
  const lost = caller.call(echo, { text: 'a' }, { timeoutMs })
  const closing = caller.close()
  await assert.rejects(lost, named('connection_lost'))
  await assert.rejects(caller.call(echo, { text: 'b' }, { timeoutMs }), named('closed'))
  await settled(clock, closing)
  await settled(clock, caller.close())
  assert.deepEqual(reasons, [undefined])
})

void test('a call is settled by its signal, before and after it was sent', async () => {
  const clock = new Scheduler()
  const { caller, channel, ids } = await scripted(clock)
  const abort = new AbortController()
  const call = caller.call(echo, { text: 'a' }, { timeoutMs, signal: abort.signal })
  await clock.run(0)
  abort.abort()
  await assert.rejects(call, named('aborted'))
  await assert.rejects(
    caller.call(echo, { text: 'a' }, { timeoutMs, signal: abort.signal }),
    named('aborted'),
  )
  channel.send(
    frameParts({
      type: echo.type | replyBit,
      correlationId: ids[0] ?? 0,
      fields: { text: 'late' },
    }),
  )
  channel.send(errorFrameParts(ids[0] ?? 0, new MqError('broker_busy', 'late too')))
  await clock.run(0)
  assert.equal(caller.closed, false)
  assert.equal(caller.inFlight, 0)
})

void test('more requests than may be in flight are refused and nothing is sent', async () => {
  const clock = new Scheduler()
  const { caller, ids } = await scripted(clock)
  const calls = Array.from({ length: limits.requestsInFlight }, () =>
    caller.call(echo, { text: '' }, { timeoutMs }),
  )
  await assert.rejects(caller.call(echo, { text: '' }, { timeoutMs }), named('too_many_requests'))
  await clock.run(0)
  assert.equal(new Set(ids).size, limits.requestsInFlight)
  void caller.close()
  const outcomes = await settled(clock, Promise.allSettled(calls))
  assert.ok(outcomes.every(({ status }) => status === 'rejected'))
})

void test('a peer that never reads makes further requests fail before memory runs out', async () => {
  const clock = new Scheduler()
  const { caller, channel } = await scripted(clock)
  channel.pause()
  const slices = [new Uint8Array(8 * 1_048_576)]
  let told = 0
  assert.throws(() => {
    for (; told < 100; told += 1) caller.tell(echo, { text: '' }, slices)
  }, named('buffer_full'))
  assert.equal(told, 8)
  await assert.rejects(caller.call(echo, { text: '' }, { timeoutMs }), named('buffer_full'))
  const drained = caller.drained()
  channel.resume()
  await settled(clock, drained)
  caller.tell(echo, { text: '' }, slices)
  assert.ok(caller.bufferedBytes > 0)
})

void test('a request longer than a frame may be is refused and nothing is sent', async () => {
  const clock = new Scheduler()
  const { caller, ids } = await scripted(clock)
  const slices = [new Uint8Array(limits.frameBodyBytes)]
  await assert.rejects(
    caller.call(echo, { text: '' }, { timeoutMs, slices }),
    named('message_too_large'),
  )
  assert.throws(() => caller.tell(echo, { text: '' }, slices), named('message_too_large'))
  await clock.run(0)
  assert.deepEqual(ids, [])
  assert.equal(caller.inFlight, 0)
})

void test('a server that breaks the protocol loses its connection, and what was in flight is lost', async () => {
  const broken: [string, (id: number) => Uint8Array[]][] = [
    ['not a frame', () => [Uint8Array.of(1, 2, 3)]],
    [
      'a body that is not CBOR',
      (id) => [
        ...frameParts({ type: 0xe4, correlationId: id, fields: {} }).map((part) =>
          part.fill(0xff, 12),
        ),
      ],
    ],
    [
      'a reply of another type',
      (id) => frameParts({ type: 0x81, correlationId: id, fields: { text: '' } }),
    ],
    [
      'a reply without its field',
      (id) => frameParts({ type: 0xe4, correlationId: id, fields: {} }),
    ],
    [
      'an error without its fields',
      (id) => frameParts({ type: errorFrameType, correlationId: id, fields: {} }),
    ],
    [
      'an error that belongs to no request',
      () => errorFrameParts(0, new MqError('malformed_frame', 'what you sent')),
    ],
  ]
  for (const [name, message] of broken) {
    const clock = new Scheduler()
    const { caller, channel, ids } = await scripted(clock)
    const call = caller.call(echo, { text: '' }, { timeoutMs })
    await clock.run(0)
    channel.send(message(ids[0] ?? 0))
    await assert.rejects(settled(clock, call), named('connection_lost'), name)
    assert.equal(caller.closed, true, name)
  }
})

void test('connecting fails when hello is not answered in time, or with a version that we do not speak', async () => {
  const clock = new Scheduler()
  const transport = loopbackTransport(clock)
  const closings: unknown[] = []
  const listen = (
    address: string,
    answer: (channel: Channel, id: number) => void,
  ): Promise<unknown> =>
    transport.listen(address, (channel) =>
      channel.receive({
        message: (bytes) => answer(channel, readFrames(bytes)[0]?.correlationId ?? 0),
        drained: () => undefined,
        closed: () => closings.push(address),
      }),
    )
  await listen('silent:1', () => undefined)
  await listen('newer:1', (channel, id) => channel.send(helloReply(id, 2)))
  await listen('refusing:1', (channel, id) =>
    channel.send(errorFrameParts(id, new MqError('unsupported_version', 'no'))),
  )
  const connect = (address: string): Promise<Caller> =>
    settled(
      clock,
      Caller.connect(transport, address, { clock, client: 'test', helloTimeoutMs: 50 }),
    )
  await assert.rejects(connect('silent:1'), named('timed_out'))
  await assert.rejects(connect('newer:1'), named('unsupported_version'))
  await assert.rejects(connect('refusing:1'), named('unsupported_version'))
  await assert.rejects(connect('nobody:1'), named('unreachable'))
  await clock.run(10)
  assert.deepEqual(closings, ['silent:1', 'newer:1', 'refusing:1'])
})

void test('many calls are in flight at once and each gets its own answer', async () => {
  const clock = new Scheduler()
  const later = route(
    echo,
    ({ text }) =>
      new Promise<Answer<EchoReply>>((resolve) => {
        clock.after(100 - Number(text), () => resolve({ reply: { text } }))
      }),
  )
  const server = await echoServer({ clock, routes: routes(later) })
  const caller = await settled(clock, server.connect())
  const order: string[] = []
  const calls = Array.from({ length: 100 }, async (_, index) => {
    const { reply } = await caller.call(echo, { text: String(index) }, { timeoutMs })
    order.push(reply.text)
    assert.equal(reply.text, String(index))
  })
  await settled(clock, Promise.all(calls))
  assert.equal(order[0], '99')
  assert.equal(order.length, 100)
})
