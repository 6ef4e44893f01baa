import { Backoff, type Clock, type Log, present, type Random, type Timer } from '@popmq/kit'
import { MqError } from '@popmq/protocol'
import {
  Connection,
  type ConnectionEnd,
  type Credentials,
  type Granted,
  type Reply,
  sentences,
  type SessionIdentity,
  type Start,
} from './connection.ts'
import { serverName, type ZookeeperHosts, type ZookeeperServer } from './hosts.ts'
import { MovingDeadline } from './moving-deadline.ts'
import { PingWatchdog } from './ping-watchdog.ts'
import { SeenZxid } from './seen-zxid.ts'
import { WatchSet } from './watch-set.ts'

export interface SessionLinkOptions {
  readonly hosts: ZookeeperHosts
  /** How long the session lives unheard, as we wish it; the server may grant less or more. */
  readonly sessionMs: number
  /** The longest that an operation waits for a connection and its answer. */
  readonly operationMs: number
  readonly auth: Credentials | undefined
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

interface Operation {
  send(connection: Connection, over: () => void): void
  abandon(why: string): void
}

/**
 * Keeps one ZooKeeper session connected, over one connection after the other.
 *    away → open      a server took the session up (at first: made it)
 *    open → away      the connection was lost or fell silent: on to the next server
 *    → lost           the session has expired, authentication failed, or no server was heard to answer for as long as
 *                     the session lives. The last is decided by our own clock: others may see its nodes gone by then.
 *    → closed         by its user
 * A server that is cut off from its ensemble answers a while longer, so a session may be gone before we call it lost: as
 * everywhere, only the checks of a commit decide. Lost and closed are for good.
 * An operation waits while away, in order, up to its deadline; one that was sent is not sent again. Nothing is ever
 * queued in the library.
 */
export class SessionLink {
  readonly watches: WatchSet
  readonly #options: SessionLinkOptions
  readonly #lost: (reason: MqError) => void
  readonly #servers: readonly ZookeeperServer[]
  readonly #zxid = new SeenZxid()
  readonly #backoff: Backoff
  readonly #waiting = new Set<Operation>()
  readonly #lease: MovingDeadline
  #identity: SessionIdentity | undefined
  #sessionMs: number
  #connection: Connection | undefined
  #watchdog: PingWatchdog | undefined
  #retry: Timer | undefined
  #inFlight = 0
  #openedAtMs = 0
  #tried = 0
  #failures = 0
  #lastEnd: ConnectionEnd | undefined
  /** Why nothing is carried out any more. */
  #over: string | undefined
  #wasDropped: (() => void) | undefined
  #closing: Promise<void> | undefined

  constructor(options: SessionLinkOptions, lost: (reason: MqError) => void) {
    this.#options = options
    this.#lost = lost
    this.#sessionMs = options.sessionMs
    this.#servers = shuffled(options.hosts.servers, options.random)
    this.#backoff = new Backoff(options.random, { firstMs: 50, mostMs: 1_000 })
    this.watches = new WatchSet(options.log)
    this.#lease = new MovingDeadline(options.clock, () => this.#lose(this.#silence()))
    this.#connect()
  }

  get isOver(): boolean {
    return this.#over !== undefined
  }

  /** Carries out one operation within `operationMs`. Never rejects. */
  operate<T>(start: Start<T>): Promise<Reply<T>> {
    return new Promise((resolve) => {
      const { clock, operationMs } = this.#options
      const settle = (reply: Reply<T>): void => {
        timer.cancel()
        this.#waiting.delete(operation)
        resolve(reply)
      }
      const operation: Operation = {
        send: (connection, over) =>
          connection.send(start, (reply) => {
            over()
            settle(reply)
          }),
        abandon: (why) => settle({ kind: 'unanswered', why }),
      }
      const timer = clock.after(operationMs, () => {
        const isAway = this.#connection?.isOpen !== true
        const what = isAway ? `connection within ${operationMs} ms (${this.#trouble()})` : undefined
        operation.abandon(`no ${what ?? `answer within ${operationMs} ms`}`)
      })
      this.#admit(operation)
    })
  }

  /** Ends the session at the server if that can be reached, without waiting for it to come back. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    if (this.#over !== undefined) return
    const connection = this.#connection
    this.#finish('the session was closed')
    if (connection === undefined) return
    const dropped = new Promise<void>((resolve) => (this.#wasDropped = resolve))
    connection.closeSession(Math.min(this.#options.operationMs, this.#sessionMs))
    await dropped
  }

  #admit(operation: Operation): void {
    if (this.#over !== undefined) return operation.abandon(this.#over)
    if (this.#waiting.size >= mostWaiting)
      return operation.abandon(`${mostWaiting} operations wait already`)
    this.#waiting.add(operation)
    this.#sendWaiting()
  }

  #sendWaiting(): void {
    for (const operation of this.#waiting) {
      if (this.#connection?.isOpen !== true || this.#inFlight >= mostInFlight) return
      this.#waiting.delete(operation)
      this.#inFlight += 1
      operation.send(this.#connection, () => {
        this.#inFlight -= 1
        this.#sendWaiting()
      })
    }
  }

  #connect(): void {
    const { clock, sessionMs, auth, log } = this.#options
    const server = present(
      this.#servers[this.#tried % this.#servers.length],
      'there is a server at least',
    )
    this.#tried += 1
    const handshake = {
      clock,
      identity: this.#identity,
      zxid: this.#zxid,
      sessionMs,
      withinMs: this.#handshakeMs(),
      auth,
    }
    const connection = new Connection(server, handshake, {
      opened: (granted) => {
        log.info('registry_connected', { server: serverName(server), sessionMs: granted.sessionMs })
        this.#opened(connection, granted)
      },
      heard: () => this.#watchdog?.heard(),
      answered: (sentAtMs) => this.#lease.moveTo(sentAtMs + this.#sessionMs),
      ended: (end) => this.#ended(end),
    })
    this.#connection = connection
  }

  /** A third of the session's time is left when a server is found silent: time to try the others, but a second each. */
  #handshakeMs(): number {
    const thirdMs = this.#sessionMs / 3
    return Math.ceil(Math.max(thirdMs / this.#servers.length, Math.min(1_000, thirdMs)))
  }

  #opened(connection: Connection, { identity, sessionMs, sentAtMs }: Granted): void {
    const { clock } = this.#options
    this.#identity = identity
    this.#sessionMs = sessionMs
    this.#openedAtMs = clock.monotonic()
    this.#lease.moveTo(sentAtMs + sessionMs)
    this.#watchdog = new PingWatchdog({
      clock,
      sessionMs,
      ping: () => this.#ping(connection),
      silent: () => connection.drop(`nothing was heard for ${Math.round((sessionMs * 2) / 3)} ms`),
    })
    this.watches.connected(connection)
    this.#sendWaiting()
  }

  /** A question, not the protocol's ping: the answer to a question tells when the server was there. */
  #ping(connection: Connection): void {
    if (!connection.isOpen) return
    connection.send<unknown>(
      (client, answer) => client.exists('/', undefined, answer),
      () => undefined,
    )
  }

  #ended(end: ConnectionEnd): void {
    const { clock, log } = this.#options
    this.#lastEnd = end
    this.#connection = undefined
    const wasOpen = this.#watchdog !== undefined
    this.#watchdog?.stop()
    this.#watchdog = undefined
    this.#wasDropped?.()
    if (this.#over !== undefined) return
    this.watches.disconnected()
    if (end.kind !== 'lost') return this.#lose(sentences[end.kind])
    if (wasOpen) log.warn('registry_disconnected', { why: end.why })
    else log.debug('registry_unreachable', { why: end.why })
    // A server that takes the session up and drops it at once is no reason to start over at full speed.
    const wasSteady = wasOpen && clock.monotonic() - this.#openedAtMs > this.#sessionMs / 3
    if (wasSteady) {
      this.#failures = 0
      this.#backoff.reset()
    }
    this.#failures += 1
    const isRoundDone = this.#failures % this.#servers.length === 0
    this.#retry = clock.after(isRoundDone ? this.#backoff.nextMs() : 0, () => this.#connect())
  }

  #silence(): string {
    return `no server answered for ${this.#sessionMs} ms (${this.#trouble()})`
  }

  /** Why there is no connection, for people. */
  #trouble(): string {
    if (this.#lastEnd === undefined) return 'silence'
    if (this.#lastEnd.kind !== 'lost') return sentences[this.#lastEnd.kind]
    const { why, isRefusal } = this.#lastEnd
    return isRefusal && this.#identity !== undefined ? `${why}; ${refusalHint}` : why
  }

  #lose(why: string): void {
    if (this.#over !== undefined) return
    const connection = this.#connection
    this.#finish(why)
    connection?.drop(why)
    this.#options.log.warn('registry_session_lost', { why })
    this.#lost(new MqError('registry_unavailable', `the session with ZooKeeper is lost: ${why}`))
  }

  #finish(why: string): void {
    this.#over = why
    this.#lease.stop()
    this.#retry?.cancel()
    this.#watchdog?.stop()
    this.watches.close()
    for (const operation of [...this.#waiting]) operation.abandon(why)
  }
}

/** Bounds what is on its way, so what the library and the socket hold. The rest waits for it, in order. */
const mostInFlight = 1_000
/** More is answered at once. */
const mostWaiting = 100_000

const refusalHint =
  'a server that goes away there is starting, or has older data than this session has seen: wiped or put back'

function shuffled<T>(items: readonly T[], random: Random): T[] {
  return items
    .map((item) => ({ item, rank: random.next() }))
    .toSorted((a, b) => a.rank - b.rank)
    .map(({ item }) => item)
}
