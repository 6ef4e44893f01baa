import type { Socket } from 'node:net'
import { type Clock, systemClock } from '@popmq/kit'
import { MqError } from '@popmq/protocol'
import { WebSocket } from 'ws'
import { formatAddress, parseAddress } from './address.ts'
import type { Channel, Transport } from './channel.ts'
import { Heartbeat } from './heartbeat.ts'
import type { HttpHandler } from './http-door.ts'
import { webSocketBounds, webSocketPath } from './websocket-bounds.ts'
import { WebSocketChannel } from './websocket-channel.ts'
import { WebSocketListener } from './websocket-listener.ts'

export type { HttpAnswer, HttpHandler, HttpRequest } from './http-door.ts'
export { webSocketPath } from './websocket-bounds.ts'

export interface WebSocketOptions {
  /** Answers plain GETs on the same port: `/metrics`, `/healthz`, `/readyz`. @defaultValue 404 for every path */
  readonly http?: HttpHandler
  /** Host names under which the port may be reached, beside `localhost`, IP addresses and the name listened on. */
  readonly hosts?: readonly string[]
  /** Sockets per address; one more is dropped. @defaultValue 16_384 */
  readonly maxConnections?: number
  /** How often a peer is asked for a sign of life, in ms; it is given up after two without. @defaultValue 10_000 */
  readonly heartbeatMs?: number
  readonly clock?: Clock
  /** Gets what `http` throws. */
  readonly onDefect?: (error: unknown) => void
}

const connectMs = 5_000

/** The transport over WebSockets. Its channels keep the process alive until they are closed. */
export function webSocketTransport(options: WebSocketOptions = {}): Transport {
  const makeHeartbeat = (): Heartbeat<WebSocketChannel> =>
    new Heartbeat(options.clock ?? systemClock, options.heartbeatMs ?? 10_000)
  const heartbeat = makeHeartbeat()
  return {
    connect: (address, { signal } = {}) => connect(address, heartbeat, signal),
    listen: (address, onChannel) =>
      WebSocketListener.open({
        address,
        onChannel,
        heartbeat: makeHeartbeat(),
        http: options.http,
        hosts: options.hosts ?? [],
        maxConnections: options.maxConnections ?? 16_384,
        onDefect: options.onDefect ?? (() => undefined),
      }),
  }
}

async function connect(
  address: string,
  heartbeat: Heartbeat<WebSocketChannel>,
  signal: AbortSignal | undefined,
): Promise<Channel> {
  const remote = formatAddress(parseAddress(address))
  if (signal?.aborted === true) throw abortedError(remote, signal)
  return new Promise((resolve, reject) => {
    const ws = new WebSocket(`ws://${remote}${webSocketPath}`, {
      ...webSocketBounds,
      handshakeTimeout: connectMs,
      followRedirects: false,
      generateMask: (mask) => mask.fill(0),
    })
    let socket: Socket | undefined
    const abort = (): void => {
      reject(abortedError(remote, signal))
      ws.terminate()
    }
    const settle = (): void => signal?.removeEventListener('abort', abort)
    signal?.addEventListener('abort', abort, { once: true })
    ws.once('upgrade', (response) => (socket = response.socket))
    ws.once('open', () => {
      settle()
      if (socket !== undefined)
        resolve(new WebSocketChannel({ ws, socket, remote, isClient: true, heartbeat }))
    })
    // Stays after opening: the channel adds its own.
    ws.on('error', (error) => {
      settle()
      reject(
        new MqError('unreachable', `cannot connect to ${remote}: ${reasonOf(error)}`, {
          cause: error,
        }),
      )
    })
  })
}

function abortedError(remote: string, signal: AbortSignal | undefined): MqError {
  return new MqError('aborted', `connecting to ${remote} was aborted`, { cause: signal?.reason })
}

/** `localhost` may stand for two addresses: both refusals come as one error without a message of its own. */
function reasonOf(error: Error): string {
  if (error instanceof AggregateError)
    return error.errors.map((each) => String(each.message)).join(', ')
  return error.message
}
