import net, { type Socket } from 'node:net'
import { assert, AssertionError, type Clock, type Timer } from '@popmq/kit'
import { FrameReader } from './frame-reader.ts'
import { serverName, type ZookeeperServer } from './hosts.ts'
import {
  type Answer,
  type ConnectionManager,
  connectionStates,
  library,
  type LibraryClient,
} from './library.ts'
import type { SeenZxid } from './seen-zxid.ts'

/** What names a session to a server, and proves that it is ours. */
export interface SessionIdentity {
  readonly id: Buffer
  readonly password: Buffer
}

export interface Credentials {
  readonly scheme: 'digest'
  readonly user: string
  readonly password: string
}

/** What a connection tells the server at first. */
export interface Handshake {
  readonly clock: Clock
  /** The session to take up again; without one a new one is made. */
  readonly identity: SessionIdentity | undefined
  readonly zxid: SeenZxid
  /** How long the session lives unheard, as we wish it. */
  readonly sessionMs: number
  /** How long the server has for the connection and its answer. */
  readonly withinMs: number
  readonly auth: Credentials | undefined
}

/** What a server that takes the session up answers. */
export interface Granted {
  readonly identity: SessionIdentity
  readonly sessionMs: number
  /** When it was asked, so that it has heard the session since. */
  readonly sentAtMs: number
}

export type ConnectionEnd =
  | { readonly kind: 'expired' | 'auth_failed' }
  /** `isRefusal`: the server was reached and went away without an answer to the handshake. */
  | { readonly kind: 'lost'; readonly why: string; readonly isRefusal: boolean }

export interface ConnectionEvents {
  opened(granted: Granted): void
  heard(): void
  /** The server has answered what was sent at `sentAtMs`, so the session was alive then. */
  answered(sentAtMs: number): void
  /** The last event. Everything sent has been settled. */
  ended(end: ConnectionEnd): void
}

/** What became of one operation. */
export type Reply<T> =
  | { readonly kind: 'answered'; readonly value: T }
  /** The server said no. A failed transaction says so for each of its ops. */
  | { readonly kind: 'refused'; readonly code: number; readonly text: string; readonly value: T }
  /** It may or may not be carried out. */
  | { readonly kind: 'unanswered'; readonly why: string }

/** Starts an operation of the library. */
export type Start<T> = (client: LibraryClient, answer: Answer<T>) => void

/**
 * One TCP connection, with a client of the library for itself: nothing that the library queues, waits for or has half
 * read outlives the connection, and it never connects again by itself. Only the session goes on, in its identity.
 *    connecting → handshaking → open → closing → ended, and from anywhere → ended
 * Authentication goes out with the handshake, so before anything that is sent once it is open.
 */
export class Connection {
  readonly #server: string
  readonly #handshake: Handshake
  readonly #events: ConnectionEvents
  readonly #client: LibraryClient
  readonly #manager: ConnectionManager
  readonly #socket: Socket
  readonly #frames = new FrameReader(mostFrameBytes)
  readonly #unanswered = new Set<(why: string) => void>()
  #state: 'connecting' | 'handshaking' | 'open' | 'closing' | 'ended' = 'connecting'
  #timer: Timer
  #connectedAtMs = 0
  #socketError: Error | undefined

  constructor(server: ZookeeperServer, handshake: Handshake, events: ConnectionEvents) {
    this.#server = serverName(server)
    this.#handshake = handshake
    this.#events = events
    this.#client = libraryClient(handshake)
    this.#manager = this.#client.connectionManager
    this.#manager.on('state', (state) => this.#changed(state))
    this.#socket = this.#openSocket(server)
    this.#manager.socket = this.#socket
    this.#manager.setState(connectionStates.connecting)
    this.#timer = handshake.clock.after(handshake.withinMs, () =>
      this.#lose(`did not answer the handshake within ${handshake.withinMs} ms`),
    )
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  /** Sends at once. `settle` is called once, by the end of the connection at the latest, and must not throw. */
  send<T>(start: Start<T>, settle: (reply: Reply<T>) => void): void {
    assert(this.#state === 'open', 'only an open connection carries operations')
    const sentAtMs = this.#handshake.clock.monotonic()
    const abandon = (why: string): void => settle({ kind: 'unanswered', why })
    this.#unanswered.add(abandon)
    start(this.#client, (error, value) => {
      if (!this.#unanswered.delete(abandon)) return
      this.#events.answered(sentAtMs)
      settle(
        error === null || error === undefined
          ? { kind: 'answered', value }
          : { kind: 'refused', code: error.code, text: `${error.name}[${error.code}]`, value },
      )
    })
  }

  /** Ends the session at the server, behind all that was sent, and so the connection. */
  closeSession(withinMs: number): void {
    if (this.#state !== 'open') return this.drop('the session was closed')
    this.#state = 'closing'
    this.#timer = this.#handshake.clock.after(withinMs, () => this.drop('the session was closed'))
    this.#client.close()
  }

  drop(why: string): void {
    this.#end({ kind: 'lost', why, isRefusal: false })
  }

  #openSocket(server: ZookeeperServer): Socket {
    const socket = net.connect({ ...server, noDelay: true })
    socket.on('connect', () => {
      this.#state = 'handshaking'
      this.#connectedAtMs = this.#handshake.clock.monotonic()
      this.#manager.onSocketConnected()
    })
    socket.on('data', (chunk) => this.#receive(chunk))
    socket.on('drain', () => this.#manager.onSocketDrain())
    socket.on('error', (error) => (this.#socketError = error))
    socket.on('close', () => {
      const during = this.#state === 'handshaking' ? ' during the handshake' : ''
      this.#lose(this.#socketError?.message ?? `closed the connection${during}`)
    })
    return socket
  }

  #receive(chunk: Buffer): void {
    if (this.#state === 'ended') return
    this.#events.heard()
    try {
      for (const frame of this.#frames.push(chunk)) {
        this.#manager.onSocketData(frame)
        this.#handshake.zxid.note(this.#manager.zxid)
        if (this.#socket.destroyed) return
      }
    } catch (error) {
      if (error instanceof AssertionError) throw error
      const what = error instanceof Error ? error.message : String(error)
      this.#lose(`sent what cannot be read: ${what}`)
    }
  }

  #changed(state: number): void {
    if (state === connectionStates.sessionExpired) this.#end({ kind: 'expired' })
    if (state === connectionStates.authenticationFailed) this.#end({ kind: 'auth_failed' })
    if (state !== connectionStates.connected || this.#state !== 'handshaking') return
    this.#timer.cancel()
    this.#state = 'open'
    const { sessionId: id, sessionPassword: password, sessionTimeout: sessionMs } = this.#manager
    this.#events.opened({
      identity: { id, password },
      sessionMs,
      sentAtMs: this.#connectedAtMs,
    })
  }

  #lose(what: string): void {
    const isRefusal = this.#state === 'handshaking' && this.#socket.readyState === 'closed'
    this.#end({ kind: 'lost', why: `${this.#server}: ${what}`, isRefusal })
  }

  #end(end: ConnectionEnd): void {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    this.#timer.cancel()
    this.#socket.destroy()
    const unanswered = [...this.#unanswered]
    this.#unanswered.clear()
    for (const abandon of unanswered) abandon(end.kind === 'lost' ? end.why : sentences[end.kind])
    this.#events.ended(end)
  }
}

export const sentences = {
  expired: 'the session has expired',
  auth_failed: 'ZooKeeper refused the name or password',
} as const

/** Bounds what a broken or foreign server makes us hold; the children of a node come in one frame. */
const mostFrameBytes = 64 * 1_048_576

function libraryClient({ identity, zxid, sessionMs, auth }: Handshake): LibraryClient {
  // It never uses the hosts: we open the socket. It never tries again: its client ends with the connection.
  const client = library.createClient('unused:1', {
    sessionTimeout: sessionMs,
    retries: 0,
    ...(identity && { sessionId: identity.id, sessionPassword: identity.password }),
  })
  client.connectionManager.zxid = zxid.bytes
  if (auth !== undefined) {
    client.addAuthInfo(auth.scheme, Buffer.from(`${auth.user}:${auth.password}`))
  }
  return client
}
