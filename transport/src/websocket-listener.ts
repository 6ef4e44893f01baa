import type { IncomingMessage, Server } from 'node:http'
import { isIP, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { isMqError, MqError } from '@popmq/protocol'
import { WebSocketServer } from 'ws'
import { type Address, formatAddress, parseAddress } from './address.ts'
import type { Channel, Listener } from './channel.ts'
import type { Heartbeat } from './heartbeat.ts'
import { createDoor, type HttpHandler } from './http-door.ts'
import { webSocketBounds } from './websocket-bounds.ts'
import { WebSocketChannel } from './websocket-channel.ts'

export interface ListenerParts {
  readonly address: string
  readonly onChannel: (channel: Channel) => void
  readonly http: HttpHandler | undefined
  readonly hosts: readonly string[]
  readonly maxConnections: number
  /** Of this listener alone: what it watches are the channels. */
  readonly heartbeat: Heartbeat<WebSocketChannel>
  readonly onDefect: (error: unknown) => void
}

/** How often another port is tried when port 0 gave one that is taken on ::1. */
const portTries = 10

/** A port that takes WebSockets and plain GETs: one server per IP address that its host stands for. */
export class WebSocketListener implements Listener {
  readonly address: string
  readonly #servers: readonly Server[]
  readonly #heartbeat: Heartbeat<WebSocketChannel>

  private constructor(
    address: string,
    servers: readonly Server[],
    heartbeat: Heartbeat<WebSocketChannel>,
  ) {
    this.address = address
    this.#servers = servers
    this.#heartbeat = heartbeat
  }

  /** @throws MqError `port_in_use`, `invalid_config` when the address is not one of this machine */
  static async open(parts: ListenerParts): Promise<WebSocketListener> {
    const wanted = parseAddress(parts.address)
    const make = doorMaker(parts, wanted.host)
    for (let tries = 1; ; tries += 1) {
      const servers: Server[] = []
      try {
        const port = await bindAll(wanted, make, servers)
        const address = formatAddress({ host: wanted.host, port })
        return new WebSocketListener(address, servers, parts.heartbeat)
      } catch (error) {
        await Promise.all(servers.map(closeServer))
        const mayDiffer = wanted.port === 0 && tries < portTries && isMqError(error, 'port_in_use')
        if (!mayDiffer) throw error
      }
    }
  }

  /** Stops listening, closes the channels (each has 2 s to shake hands) and resolves when all is gone. */
  async close(): Promise<void> {
    const closing = this.#servers.map(closeServer)
    for (const channel of this.#heartbeat.watched)
      channel.close(new MqError('shutting_down', `${this.address} is closing`))
    await Promise.all(closing)
  }
}

function doorMaker(parts: ListenerParts, host: string): () => Server {
  const { onChannel, http, maxConnections, heartbeat, onDefect } = parts
  const hosts = new Set(
    [...parts.hosts, host].filter((name) => isIP(name) === 0).map((name) => name.toLowerCase()),
  )
  const sockets = new WebSocketServer({ ...webSocketBounds, noServer: true, clientTracking: false })
  const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    sockets.handleUpgrade(request, socket, head, (ws) => {
      if (!(socket instanceof Socket))
        throw new TypeError('an upgrade of a TCP server has a socket')
      const remote = formatAddress({
        host: socket.remoteAddress ?? 'unknown',
        port: socket.remotePort ?? 0,
      })
      onChannel(new WebSocketChannel({ ws, socket, remote, isClient: false, heartbeat }))
    })
  }
  return () => createDoor({ http, hosts, maxConnections, upgrade, onDefect })
}

/** Binds `servers` to each IP address of the host, all to one port. @returns the port */
async function bindAll(wanted: Address, make: () => Server, servers: Server[]): Promise<number> {
  const first = wanted.host === 'localhost' ? '127.0.0.1' : wanted.host
  const server = make()
  servers.push(server)
  const port = await bind(server, { host: first, port: wanted.port })
  if (wanted.host !== 'localhost') return port
  const second = make()
  try {
    await bind(second, { host: '::1', port })
    servers.push(second)
  } catch (error) {
    // A machine without IPv6 has no ::1.
    if (!isMqError(error, 'invalid_config')) throw error
  }
  return port
}

function bind(server: Server, address: Address): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(bindError(error, formatAddress(address))),
    )
    server.listen({ host: address.host, port: address.port }, () => {
      // A listening server errs when it cannot accept, as when file descriptors run out: those who wait try again.
      server.on('error', () => undefined)
      const bound = server.address()
      resolve(typeof bound === 'object' && bound !== null ? bound.port : address.port)
    })
  })
}

function bindError(error: NodeJS.ErrnoException, address: string): MqError {
  if (error.code === 'EADDRINUSE')
    return new MqError('port_in_use', `${address} is taken`, { cause: error })
  return new MqError('invalid_config', `cannot listen on ${address}: ${error.message}`, {
    cause: error,
  })
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    // The callback gets an error only when the server was not listening: then there is nothing to close.
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
