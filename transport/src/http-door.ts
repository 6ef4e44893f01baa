import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http'
import type { Duplex } from 'node:stream'
import { checkHost } from './host-check.ts'
import { webSocketPath } from './websocket-bounds.ts'

/** A plain request on the port of the WebSocket: always a GET from an allowed host. */
export interface HttpRequest {
  /** Without the query. */
  readonly path: string
}

export interface HttpAnswer {
  readonly status: number
  readonly contentType: string
  readonly body: string | Uint8Array
}

/** Answers `/metrics` and the like; undefined for a path that it does not have. */
export type HttpHandler = (
  request: HttpRequest,
) => HttpAnswer | undefined | Promise<HttpAnswer | undefined>

export interface DoorOptions {
  readonly http: HttpHandler | undefined
  /** Host names under which this port may be reached, beside `localhost` and addresses; lower case. */
  readonly hosts: ReadonlySet<string>
  readonly maxConnections: number
  /** Takes a WebSocket upgrade that may proceed. */
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void
  /** Gets what `http` throws, which is answered 500. */
  readonly onDefect: (error: unknown) => void
  readonly timeouts?: DoorTimeouts
}

/** How long a peer may take, in ms. */
export interface DoorTimeouts {
  /** For the headers of a request, an upgrade too. */
  readonly headersMs: number
  /** For a whole request. */
  readonly requestMs: number
  /** How often the two are looked at. */
  readonly checkMs: number
}

const doorTimeouts: DoorTimeouts = { headersMs: 5_000, requestMs: 30_000, checkMs: 2_000 }

/** An HTTP server that answers plain GETs and hands over WebSocket upgrades, both only to those who may. Not listening yet. */
export function createDoor(options: DoorOptions): Server {
  const { headersMs, requestMs, checkMs } = options.timeouts ?? doorTimeouts
  const server = createServer({
    headersTimeout: headersMs,
    requestTimeout: requestMs,
    connectionsCheckingInterval: checkMs,
    keepAliveTimeout: 5_000,
    maxHeaderSize: 16_384,
    noDelay: true,
  })
  server.maxConnections = options.maxConnections
  server.on('request', (request, response) => {
    void answer(request, options).then((answered) => write(response, answered))
  })
  server.on('upgrade', (request, socket, head) => {
    const status = upgradeRefusal(request, options.hosts)
    if (status === undefined) options.upgrade(request, socket, head)
    else refuseUpgrade(socket, status)
  })
  return server
}

async function answer(
  request: IncomingMessage,
  { http, hosts, onDefect }: DoorOptions,
): Promise<HttpAnswer> {
  const status = hostRefusal(request, hosts)
  if (status !== undefined) return plain(status)
  if (request.method !== 'GET') return plain(405)
  const path = (request.url ?? '/').replace(/\?.*$/s, '')
  if (path === webSocketPath) return plain(426)
  try {
    return (await http?.({ path })) ?? plain(404)
  } catch (error) {
    onDefect(error)
    return plain(500)
  }
}

function write(response: ServerResponse, { status, contentType, body }: HttpAnswer): void {
  // A connection that asked for something odd is not kept: what follows its headers is not worth reading.
  if (status >= 400) response.setHeader('connection', 'close')
  if (status === 405) response.setHeader('allow', 'GET')
  response.writeHead(status, { 'content-type': contentType, 'x-content-type-options': 'nosniff' })
  response.end(body)
}

function upgradeRefusal(request: IncomingMessage, hosts: ReadonlySet<string>): number | undefined {
  const { headers, method, url } = request
  const hasBody =
    headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0
  if (method !== 'GET') return 405
  if (hasBody) return 400
  return hostRefusal(request, hosts) ?? (url === webSocketPath ? undefined : 404)
}

function hostRefusal({ headers }: IncomingMessage, hosts: ReadonlySet<string>): number | undefined {
  switch (checkHost(headers, hosts)) {
    case 'allowed':
      return undefined
    case 'no_host':
      return 400
    case 'foreign_host':
      return 421
    case 'foreign_origin':
      return 403
  }
}

function plain(status: number): HttpAnswer {
  return {
    status,
    contentType: 'text/plain; charset=utf-8',
    body: `${STATUS_CODES[status] ?? status}\n`,
  }
}

/** The HTTP server lets go of a socket that asks for an upgrade, its error listener too. */
function refuseUpgrade(socket: Duplex, status: number): void {
  const { body } = plain(status)
  socket.on('error', () => socket.destroy())
  socket.once('finish', () => socket.destroy())
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'connection: close',
    'content-type: text/plain; charset=utf-8',
  ]
  socket.end(`${[...head, `content-length: ${body.length}`].join('\r\n')}\r\n\r\n${String(body)}`)
}
