import assert from 'node:assert/strict'
import { createServer as createHttpServer } from 'node:http'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { deferred, systemClock } from '@popmq/kit'
import { Scheduler } from '@popmq/kit/testing'
import { hello, isMqError } from '@popmq/protocol'
import type { Channel } from './channel.ts'
import { frameParts } from './frame-parts.ts'
import type { ResponderEvent } from './responder.ts'
import { assertServed, echo, echoServer, type EchoServer } from './testing/echo.ts'
import { clientFrame, closeCodeOf, RawSocket, upgradeRequest } from './testing/raw-socket.ts'
import { webSocketTransport } from './websocket.ts'

const clock = systemClock
const greeting = Buffer.concat(
  frameParts({
    type: hello.type,
    correlationId: 7,
    fields: { client: 'raw', lowestVersion: 1, highestVersion: 1 },
  }),
)

/** A server and a healthy client of it; `closings` are those of other connections. */
async function served(
  body: (server: EchoServer, next: () => Promise<ResponderEvent>) => Promise<void>,
): Promise<void> {
  let waiting = deferred<ResponderEvent>()
  const observe = (event: ResponderEvent): void => {
    if (event.kind === 'closed') waiting.resolve(event)
  }
  const server = await echoServer({ clock, transport: webSocketTransport(), observe })
  const healthy = await server.connect()
  const next = async (): Promise<ResponderEvent> => {
    const event = await waiting.promise
    waiting = deferred()
    return event
  }
  try {
    await body(server, next)
    await assertServed(healthy)
  } finally {
    await healthy.close()
    await server.close()
  }
}

const fragments = (count: number): Buffer =>
  Buffer.concat(
    Array.from({ length: count }, (_, index) =>
      clientFrame(index === 0 ? 0x02 : index === count - 1 ? 0x80 : 0x00, Buffer.of(1)),
    ),
  )
const unmasked = Buffer.concat([Buffer.of(0x82, greeting.length), greeting])
const longLength = (high: number, low: number): Buffer => {
  const head = Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
  head.writeUInt32BE(high, 2)
  head.writeUInt32BE(low, 6)
  return head
}

/** Appendix of nasty frames: what is sent, and the close code that answers it. Each ends its own connection only. */
const nastyFrames: [string, Buffer, number][] = [
  ['an unmasked frame', unmasked, 1002],
  ['RSV1, as a deflated message has', clientFrame(0xc2, Buffer.alloc(100)), 1002],
  ['RSV2', clientFrame(0xa2, greeting), 1002],
  ['RSV3', clientFrame(0x92, greeting), 1002],
  ['a ping of 126 bytes', clientFrame(0x89, Buffer.alloc(126)), 1002],
  ['a ping in fragments', clientFrame(0x09, Buffer.alloc(1)), 1002],
  ['a reserved op code', clientFrame(0x83, greeting), 1002],
  ['a continuation of nothing', clientFrame(0x80, greeting), 1002],
  ['close with code 1005', clientFrame(0x88, Buffer.of(0x03, 0xed)), 1002],
  ['close with half a code', clientFrame(0x88, Buffer.of(0x03)), 1002],
  ['65 fragments', fragments(65), 1008],
  ['a length of 2^63', longLength(0x8000_0000, 0), 1009],
  ['a length of 2^32', longLength(1, 0), 1009],
  ['a length one above the most', longLength(0, 12 + 66 * 1_048_576 + 1), 1009],
  ['a text message', clientFrame(0x81, Buffer.from('{"type":"hello"}')), 1002],
]

void test('what breaks the rules of WebSocket is refused as malformed_frame, and the others are served on', async () => {
  for (const [name, bytes, code] of nastyFrames) {
    await served(async ({ address }, nextClosed) => {
      const raw = await RawSocket.upgraded(address)
      raw.write(bytes)
      assert.equal(closeCodeOf(await raw.untilClosed()), code, name)
      const event = await nextClosed()
      assert.ok(event.kind === 'closed' && isMqError(event.reason, 'malformed_frame'), name)
    })
  }
})

void test('a text message reaches nobody', async () => {
  const messages: unknown[] = []
  const closed = deferred<unknown>()
  const listener = await webSocketTransport().listen('127.0.0.1:0', (channel) =>
    channel.receive({
      message: (bytes) => messages.push(bytes),
      drained: () => undefined,
      closed: closed.resolve,
    }),
  )
  const raw = await RawSocket.upgraded(listener.address)
  raw.write(Buffer.concat([clientFrame(0x81, Buffer.from('PM')), clientFrame(0x82, greeting)]))
  raw.write(clientFrame(0x88))
  assert.ok(isMqError(await closed.promise, 'malformed_frame'))
  assert.deepEqual(messages, [])
  await listener.close()
})

void test('64 fragments, and a message written byte by byte, are taken', async () => {
  await served(async ({ address }) => {
    const parts = Array.from(greeting, (byte, index) =>
      clientFrame(
        index === 0 ? 0x02 : index === greeting.length - 1 ? 0x80 : 0x00,
        Buffer.of(byte),
      ),
    )
    assert.ok(parts.length <= 64)
    for (const bytes of [Buffer.concat(parts), clientFrame(0x82, greeting)]) {
      const raw = await RawSocket.upgraded(address)
      for (const byte of bytes) raw.write(Buffer.of(byte))
      const received = await raw.until((bytesSoFar) => bytesSoFar.length > 16)
      assert.equal(received.subarray(2, 10).toString('hex'), '504d018100000007')
      raw.socket.destroy()
    }
  })
})

void test('a deflated message is not negotiated, so a bomb is never inflated', async () => {
  await served(async ({ address }) => {
    const raw = await RawSocket.open(address)
    raw.write(
      upgradeRequest(
        `Host: ${address}`,
        'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits',
      ),
    )
    const answer = String(await raw.until((bytes) => bytes.includes('\r\n\r\n')))
    assert.match(answer, /^HTTP\/1\.1 101 /)
    assert.doesNotMatch(answer, /deflate/i)
    raw.socket.destroy()
  })
})

void test('a flood of pings from a client that reads nothing ends its connection', async () => {
  await served(async ({ address }, nextClosed) => {
    const raw = await RawSocket.upgraded(address)
    raw.socket.pause()
    const pings = Buffer.concat(
      Array.from({ length: 5_000 }, () => clientFrame(0x89, Buffer.alloc(125))),
    )
    const flood = (): void => {
      while (!raw.socket.destroyed && raw.socket.write(pings));
    }
    raw.socket.on('drain', flood)
    flood()
    const event = await nextClosed()
    assert.equal(event.kind, 'closed')
    raw.socket.destroy()
  })
})

void test('a port in use is refused by name, also when only one of the two addresses of localhost is taken', async () => {
  const squatter = createServer()
  await new Promise<void>((resolve) => squatter.listen(0, '127.0.0.1', resolve))
  const bound = squatter.address()
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0
  for (const host of ['127.0.0.1', 'localhost']) {
    await assert.rejects(
      webSocketTransport().listen(`${host}:${port}`, () => undefined),
      (error) => isMqError(error, 'port_in_use') && error.message.includes(String(port)),
    )
  }
  await new Promise((resolve) => squatter.close(resolve))
  await assert.rejects(
    webSocketTransport().listen('203.0.113.1:0', () => undefined),
    (error) => isMqError(error, 'invalid_config'),
  )
  await assert.rejects(
    webSocketTransport().listen('no address', () => undefined),
    (error) => isMqError(error, 'invalid_config'),
  )
})

void test('localhost is reached by its name and by each of its addresses', async () => {
  const transport = webSocketTransport()
  const listener = await transport.listen('localhost:0', (channel) =>
    channel.receive({
      message: () => undefined,
      drained: () => undefined,
      closed: () => undefined,
    }),
  )
  assert.match(listener.address, /^localhost:\d+$/)
  const port = listener.address.split(':')[1]
  for (const host of ['localhost', '127.0.0.1', ...((await hasIpv6()) ? ['[::1]'] : [])]) {
    const channel = await transport.connect(`${host}:${port}`)
    channel.close()
    assert.equal(channel.remote, `${host}:${port}`)
  }
  await listener.close()
})

function hasIpv6(): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer().once('error', () => resolve(false))
    probe.listen(0, '::1', () => probe.close(() => resolve(true)))
  })
}

void test('a server that is not ours is unreachable, and the reason is told', async () => {
  const server = createHttpServer((_, response) => response.writeHead(403).end())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const bound = server.address()
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0
  await assert.rejects(
    webSocketTransport().connect(`127.0.0.1:${port}`),
    (error) => isMqError(error, 'unreachable') && error.message.includes('403'),
  )
  await new Promise((resolve) => server.close(resolve))
})

void test('a silent peer is given up after two heartbeats, a living or a paused one is not', async () => {
  const time = new Scheduler()
  const transport = webSocketTransport({ clock: time, heartbeatMs: 10_000 })
  const channels: Channel[] = []
  const reasons: unknown[] = []
  const listener = await transport.listen('127.0.0.1:0', (channel) => {
    channels.push(channel)
    channel.receive({
      message: () => undefined,
      drained: () => undefined,
      closed: (reason) => reasons.push(reason),
    })
  })
  // Neither answers a ping: the raw sockets are not WebSockets.
  const silent = await RawSocket.upgraded(listener.address)
  const paused = await RawSocket.upgraded(listener.address)
  const living = await RawSocket.upgraded(listener.address)
  channels[1]?.pause()
  for (let beats = 0; beats < 4; beats += 1) {
    await time.run(10_000)
    await living.until((bytes) => bytes.length >= 2 * (beats + 1))
    living.write(clientFrame(0x8a))
    // The pong is answered by a close handshake only at the end: one more round trip shows that it was read.
    living.write(clientFrame(0x89, Buffer.of(beats)))
    await living.until((bytes) => bytes.includes(Buffer.of(0x8a, 1, beats)))
  }
  await silent.untilClosed()
  assert.equal(reasons.length, 1)
  assert.ok(isMqError(reasons[0], 'connection_lost'))
  assert.ok(!paused.socket.destroyed && !living.socket.destroyed)
  paused.socket.destroy()
  living.socket.destroy()
  await listener.close()
})

void test('a peer that never answers the close is cut off after 2 s', async () => {
  const accepted = deferred<Channel>()
  const gone = deferred<number>()
  const listener = await webSocketTransport().listen('127.0.0.1:0', (channel) => {
    channel.receive({
      message: () => undefined,
      drained: () => undefined,
      closed: () => gone.resolve(performance.now()),
    })
    accepted.resolve(channel)
  })
  const raw = await RawSocket.upgraded(listener.address)
  const channel = await accepted.promise
  const startedMs = performance.now()
  channel.close()
  const tookMs = (await gone.promise) - startedMs
  assert.ok(tookMs > 1_900 && tookMs < 4_000, `it took ${tookMs} ms`)
  raw.socket.destroy()
  await listener.close()
})

void test('a client that never reads costs the server a bounded amount of memory', async () => {
  await served(async (server) => {
    const channel = await server.channel()
    channel.receive({ message: () => undefined, drained: () => undefined, closed: () => undefined })
    channel.send([greeting])
    channel.pause()
    const slices = [new Uint8Array(1_048_576)]
    for (let id = 1; id <= 60; id += 1)
      channel.send(frameParts({ type: echo.type, correlationId: id, fields: { text: '' }, slices }))
    const taken = (): number => server.responders.at(-1)?.inFlight ?? 0
    const healthy = await server.connect()
    for (let round = 0; round < 20; round += 1) await assertServed(healthy)
    assert.ok(taken() <= 16)
    assert.ok(
      channel.bufferedBytes > 20 * 1_048_576,
      `${channel.bufferedBytes} bytes wait at the client, not at the server`,
    )
    await healthy.close()
    channel.close()
  })
})
