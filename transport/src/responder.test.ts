import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Scheduler } from '@popmq/kit/testing'
import {
  type ErrorName,
  errorFrameType,
  hello,
  isMqError,
  limits,
  MqError,
  replyBit,
} from '@popmq/protocol'
import { frameParts } from './frame-parts.ts'
import { type Answer, route, routes } from './routes.ts'
import { echo, type EchoReply } from './testing/echo.ts'
import {
  answered,
  ask,
  assertServes,
  greeting,
  neverRoutes,
  raw,
  refused,
} from './testing/raw-channel.ts'

void test('hello must be the first request', async () => {
  const clock = new Scheduler()
  const { server, channel, seen, closings } = await raw(clock, {}, false)
  channel.send(ask(9))
  channel.send(frameParts(greeting))
  await clock.run(0)
  assert.deepEqual(seen, [refused(9, 'hello_required')])
  assert.equal(closings.length, 1)
  await assertServes(clock, server)
})

void test('hello must come within 5 s', async () => {
  const clock = new Scheduler()
  const { server, seen, closings } = await raw(clock, {}, false)
  await clock.run(4_999)
  assert.deepEqual(seen, [])
  await clock.run(1)
  assert.deepEqual(seen, [refused(0, 'hello_required')])
  assert.equal(closings.length, 1)
  await assertServes(clock, server)
})

void test('a client whose versions do not overlap with ours is refused by name', async () => {
  for (const [lowestVersion, highestVersion] of [
    [0, 0],
    [2, 255],
  ]) {
    const clock = new Scheduler()
    const { channel, seen, closings } = await raw(clock, {}, false)
    channel.send(
      frameParts({ ...greeting, fields: { client: 'raw', lowestVersion, highestVersion } }),
    )
    await clock.run(0)
    assert.deepEqual(seen, [refused(7, 'unsupported_version')])
    assert.equal(closings.length, 1)
  }
})

void test('a client whose range holds ours is welcome', async () => {
  const clock = new Scheduler()
  const { channel, seen } = await raw(clock, {}, false)
  channel.send(
    frameParts({
      ...greeting,
      fields: { client: 'raw', lowestVersion: 0, highestVersion: 255, later: true },
    }),
  )
  await clock.run(0)
  assert.deepEqual(seen, [{ type: hello.type | replyBit, correlationId: 7, error: undefined }])
})

void test('an unknown request, a second hello or a bad field is answered and the connection lives', async () => {
  const clock = new Scheduler()
  const { channel, seen, closings } = await raw(clock)
  for (const type of [0, 55, 127, echo.type | replyBit, errorFrameType]) {
    channel.send(frameParts({ type, correlationId: type, fields: {} }))
  }
  channel.send(frameParts({ ...greeting, correlationId: 3 }))
  channel.send(frameParts({ type: echo.type, correlationId: 4, fields: { text: 5 } }))
  channel.send(ask(5))
  await clock.run(0)
  assert.deepEqual(seen, [
    ...[0, 55, 127, echo.type | replyBit, errorFrameType].map((type) =>
      refused(type, 'unknown_request'),
    ),
    refused(3, 'invalid_request'),
    refused(4, 'invalid_request'),
    answered(5),
  ])
  assert.deepEqual(closings, [])
})

void test('what is not a frame or not a body is answered by name, then the connection ends', async () => {
  const bare = Buffer.concat(ask(9, 'x'))
  const patched = (at: number, value: number): Buffer => {
    const copy = Buffer.from(bare)
    copy.writeUInt32BE(value, at)
    return copy
  }
  const header = (bodyBytes: number): Buffer => {
    const head = Buffer.from('504d016400000009', 'hex')
    return Buffer.concat([
      head,
      Buffer.of(bodyBytes >>> 24, bodyBytes >>> 16, bodyBytes >>> 8, bodyBytes),
    ])
  }
  const nasties: [string, Uint8Array, number, ErrorName][] = [
    ['nothing', Buffer.of(), 0, 'malformed_frame'],
    ['one byte', Buffer.of(0x50), 0, 'malformed_frame'],
    ['eleven bytes', bare.subarray(0, 11), 0, 'malformed_frame'],
    ['another magic', patched(0, 0x47455420), 0, 'malformed_frame'],
    ['length 2^31 − 1', patched(8, 0x7fff_ffff), 0, 'malformed_frame'],
    ['length 2^32 − 1, which is also −1', patched(8, 0xffff_ffff), 0, 'malformed_frame'],
    ['a length one more than there is', patched(8, bare.length - 12 + 1), 0, 'malformed_frame'],
    ['a length one less than there is', patched(8, bare.length - 12 - 1), 0, 'malformed_frame'],
    ['a good frame, then a byte', Buffer.concat([bare, Buffer.of(0)]), 0, 'malformed_frame'],
    [
      'version 0',
      Buffer.concat([Buffer.from('504d0064', 'hex'), bare.subarray(4)]),
      9,
      'unsupported_version',
    ],
    [
      'version 255',
      Buffer.concat([Buffer.from('504dff64', 'hex'), bare.subarray(4)]),
      9,
      'unsupported_version',
    ],
    ['a body of no bytes', header(0), 9, 'malformed_body'],
    ['a body that is no array', Buffer.concat([header(1), Buffer.of(0x00)]), 9, 'malformed_body'],
    [
      'more frames than a message may hold',
      Buffer.concat(Array.from({ length: 5_000 }, () => header(0))),
      0,
      'malformed_frame',
    ],
  ]
  for (const [name, message, correlationId, error] of nasties) {
    const clock = new Scheduler()
    const { server, channel, seen, closings } = await raw(clock)
    channel.send([message])
    channel.send(ask(10))
    await clock.run(0)
    assert.deepEqual(seen, [refused(correlationId, error)], name)
    assert.equal(closings.length, 1, name)
    await assertServes(clock, server)
  }
})

void test('frames of one message are handled in order, those before a bad one are answered', async () => {
  const clock = new Scheduler()
  const { channel, seen } = await raw(clock)
  const bad = frameParts({ type: echo.type, correlationId: 3, fields: {} })
  bad[0]?.fill(0xff, 12)
  channel.send([...ask(1), ...ask(2), ...bad, ...ask(4)])
  await clock.run(0)
  assert.deepEqual(seen, [answered(1), answered(2), refused(3, 'malformed_body')])
})

void test('answers may overtake one another', async () => {
  const clock = new Scheduler()
  const slowFirst = route(
    echo,
    ({ text }) =>
      new Promise<Answer<EchoReply>>((resolve) => {
        clock.after(Number(text), () => resolve({ reply: { text } }))
      }),
  )
  const { channel, seen } = await raw(clock, { routes: routes(slowFirst) })
  channel.send([...ask(1, '20'), ...ask(2, '10')])
  await clock.run(20)
  assert.deepEqual(seen, [answered(2), answered(1)])
})

void test('a correlation id in flight may not be used again, but after its answer it may', async () => {
  const clock = new Scheduler()
  const { channel, seen, closings, server } = await raw(clock, { routes: neverRoutes })
  channel.send([...ask(1), ...ask(1)])
  await clock.run(0)
  assert.deepEqual(seen, [refused(1, 'invalid_request')])
  assert.equal(server.responders[0]?.inFlight, 1)
  assert.deepEqual(closings, [])
  const quick = await raw(clock)
  quick.channel.send([...ask(1), ...ask(1)])
  await clock.run(0)
  assert.deepEqual(quick.seen, [answered(1), answered(1)])
})

void test('what is not an MqError is answered internal and told as a defect', async () => {
  const clock = new Scheduler()
  const defect = new TypeError('x is undefined')
  const now = route(echo, ({ text }) => {
    if (text === 'later') return Promise.reject(defect)
    throw defect
  })
  const { channel, server, seen, closings } = await raw(clock, { routes: routes(now) })
  channel.send([...ask(1, 'now'), ...ask(2, 'later')])
  await clock.run(0)
  assert.deepEqual(seen, [refused(1, 'internal'), refused(2, 'internal')])
  const defects = server.events.flatMap((event) => (event.kind === 'defect' ? [event.error] : []))
  assert.deepEqual(defects, [defect, defect])
  assert.deepEqual(closings, [])
  assert.equal(server.responders[0]?.inFlight, 0)
})

void test('a reply longer than a frame may be is an error of that request only', async () => {
  const clock = new Scheduler()
  const body = new Uint8Array(limits.frameBodyBytes)
  const huge = route(echo, ({ text }) => ({ reply: { text }, slices: [body] }))
  const { channel, seen, closings } = await raw(clock, { routes: routes(huge) })
  channel.send(ask(1))
  await clock.run(0)
  assert.deepEqual(seen, [refused(1, 'message_too_large')])
  assert.deepEqual(closings, [])
})

void test('a request that wants no answer gets none, and no longer counts as in flight', async () => {
  const clock = new Scheduler()
  const { channel, seen, server } = await raw(clock, {
    routes: routes(route(echo, () => undefined)),
  })
  channel.send([...ask(1), ...ask(2)])
  await clock.run(0)
  assert.deepEqual(seen, [])
  assert.equal(server.responders[0]?.inFlight, 0)
})

void test('a handler learns that its connection has gone', async () => {
  const clock = new Scheduler()
  const told: string[] = []
  const watch = route(echo, ({ text }, context) => {
    context.onClosed(() => {
      told.push(`${text} ${context.isClosed} ${context.connection.client}`)
      context.onClosed(() => told.push('at once'))
    })
    return text === 'held' ? new Promise<Answer<EchoReply>>(() => undefined) : { reply: { text } }
  })
  const { channel, server } = await raw(clock, { routes: routes(watch) })
  channel.send([...ask(1, 'held'), ...ask(2, 'answered')])
  await clock.run(0)
  assert.deepEqual(told, [])
  channel.close()
  await clock.run(0)
  assert.deepEqual(told, ['held true raw', 'at once'])
  const kinds = server.events.map(({ kind }) => kind)
  assert.deepEqual(kinds, ['hello', 'answered', 'closed'])
})

void test('closing a responder ends the connection with the reason given', async () => {
  const clock = new Scheduler()
  const { server, closings } = await raw(clock)
  server.responders[0]?.close(new MqError('shutting_down', 'the broker is stopping'))
  await clock.run(0)
  assert.ok(isMqError(closings[0], 'connection_lost'))
})
