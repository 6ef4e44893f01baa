import assert from 'node:assert/strict'
import type { Clock } from '@popmq/kit'
import { exchange, object, optional, text, whole } from '@popmq/protocol'
import { Caller } from '../caller.ts'
import type { Channel, Transport } from '../channel.ts'
import { loopbackTransport } from '../loopback.ts'
import {
  respond,
  type Responder,
  type ResponderEvent,
  type ResponderOptions,
} from '../responder.ts'
import { type Handler, route, type Routes, routes } from '../routes.ts'

/** An exchange for tests: says the text and the bytes again. */
export const echo = exchange({
  type: 100,
  name: 'echo',
  request: object({ text: text(10_000) }),
  reply: object({ text: text(10_000), times: optional(whole()) }),
})
export type EchoRequest = ReturnType<typeof echo.request>
export type EchoReply = ReturnType<typeof echo.reply>

export const sayAgain: Handler<EchoRequest, EchoReply> = ({ text: said }, { bytes }) => ({
  reply: { text: said },
  slices: [bytes],
})

export const echoRoutes: Routes = routes(route(echo, sayAgain))

export interface EchoServer {
  readonly address: string
  readonly transport: Transport
  readonly responders: Responder[]
  readonly events: ResponderEvent[]
  connect(): Promise<Caller>
  /** A channel to the server on which nothing was said yet. */
  channel(): Promise<Channel>
  close(): Promise<void>
}

export type EchoServerOptions = Partial<ResponderOptions> & {
  readonly clock: Clock
  readonly transport?: Transport
}

/** A server with `routes` over `transport`: in memory unless told. */
export async function echoServer(options: EchoServerOptions): Promise<EchoServer> {
  const { clock, transport = loopbackTransport(clock) } = options
  const responders: Responder[] = []
  const events: ResponderEvent[] = []
  const listener = await transport.listen('127.0.0.1:0', (channel) => {
    const defaults = { role: 'broker', clusterId: () => 'a-cluster', routes: echoRoutes } as const
    responders.push(
      respond(channel, { ...defaults, observe: (event) => events.push(event), ...options }),
    )
  })
  return {
    address: listener.address,
    transport,
    responders,
    events,
    connect: () => Caller.connect(transport, listener.address, { clock, client: 'test' }),
    channel: () => transport.connect(listener.address),
    close: () => listener.close(),
  }
}

/** A client is answered as ever. */
export async function assertServed(caller: Caller): Promise<void> {
  const slices = [new Uint8Array(100_000).fill(7)]
  const { reply, bytes } = await caller.call(echo, { text: 'well' }, { timeoutMs: 5_000, slices })
  assert.equal(reply.text, 'well')
  assert.deepEqual(bytes.length, 100_000)
}
