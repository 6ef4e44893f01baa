import type { Log } from '@popmq/kit'
import type { Connection } from './connection.ts'
import { errorCodes, type WatchEvent } from './library.ts'

/** What carries the watches. */
type Carrier = Pick<Connection, 'send' | 'drop'>

interface Listener {
  readonly onChange: () => void
  isPending: boolean
}

/**
 * A path that is watched:
 *    waiting → arming   a connection is there: both watches of ZooKeeper are set, on the node and on its children
 *    arming → armed     both are answered: everyone is told, as what changed until then may have passed unseen
 *    armed → waiting    one of them fired
 * and a lost connection takes all back to waiting. ZooKeeper's watches cannot be taken back: the one of a path that
 * nobody listens to any more stays until it fires, and is not set again.
 */
interface WatchedPath {
  readonly listeners: Set<Listener>
  state: 'waiting' | 'arming' | 'armed'
  /** One of its watches fired before the other was answered. */
  hasFired: boolean
}

/**
 * The watches of one session, one function of ours for all of them. After a reconnect each path is armed anew and told;
 * the library would rather send all paths in one request, which a server refuses above 1 MiB, for ever.
 */
export class WatchSet {
  readonly #log: Log
  readonly #mostArming: number
  readonly #paths = new Map<string, WatchedPath>()
  readonly #waiting = new Set<string>()
  #connection: Carrier | undefined
  #arming = 0
  #isClosed = false

  /** At most `mostArming` paths are being armed at a time: what a reconnect sends at once is bounded. */
  constructor(log: Log, mostArming = 500) {
    this.#log = log
    this.#mostArming = mostArming
  }

  /** Takes full paths. @returns how to stop it */
  watch(path: string, onChange: () => void): () => void {
    if (this.#isClosed) return () => undefined
    const watched = this.#paths.get(path) ?? this.#add(path)
    const listener = { onChange, isPending: false }
    watched.listeners.add(listener)
    this.#armWaiting()
    return () => void watched.listeners.delete(listener)
  }

  /** Sends the first ones at once, so before what the caller sends next. */
  connected(connection: Carrier): void {
    this.#connection = connection
    this.#armWaiting()
  }

  /** What was sent has been settled already. */
  disconnected(): void {
    this.#connection = undefined
    for (const [path, watched] of this.#paths) {
      watched.state = 'waiting'
      if (watched.listeners.size > 0) this.#waiting.add(path)
      else this.#drop(path)
    }
  }

  close(): void {
    this.#isClosed = true
    this.#connection = undefined
    this.#paths.clear()
    this.#waiting.clear()
  }

  #add(path: string): WatchedPath {
    const watched: WatchedPath = { listeners: new Set(), state: 'waiting', hasFired: false }
    this.#paths.set(path, watched)
    this.#waiting.add(path)
    return watched
  }

  #drop(path: string): void {
    this.#paths.delete(path)
    this.#waiting.delete(path)
  }

  #armWaiting(): void {
    for (const path of this.#waiting) {
      if (this.#connection === undefined || this.#arming >= this.#mostArming) return
      const watched = this.#paths.get(path)
      if (watched === undefined || watched.listeners.size === 0) this.#drop(path)
      else this.#arm(this.#connection, path, watched)
    }
  }

  #arm(connection: Carrier, path: string, watched: WatchedPath): void {
    this.#waiting.delete(path)
    this.#arming += 1
    watched.state = 'arming'
    watched.hasFired = false
    let isNodeArmed = false
    connection.send<unknown>(
      (client, answer) => client.exists(path, this.#fired, answer),
      (reply) => {
        isNodeArmed = reply.kind === 'answered'
        // Nobody may be forbidden to ask this, so the server is in trouble: another, or the same one later.
        if (reply.kind === 'refused') connection.drop(`refused to watch ${path}: ${reply.text}`)
      },
    )
    connection.send<unknown>(
      (client, answer) => client.getChildren(path, this.#fired, answer),
      (reply) => {
        this.#arming -= 1
        // A node that is not there has no children to watch; the watch on the node tells when it is made.
        if (reply.kind === 'refused' && reply.code !== errorCodes.noNode)
          this.#log.warn('registry_watch_refused', { path, reason: reply.text })
        if (reply.kind !== 'unanswered' && isNodeArmed) this.#armed(path, watched)
      },
    )
  }

  #armed(path: string, watched: WatchedPath): void {
    watched.state = 'armed'
    for (const listener of watched.listeners) this.#tell(watched, listener)
    if (watched.hasFired) this.#rearm(path, watched)
    this.#armWaiting()
  }

  readonly #fired = ({ path }: WatchEvent): void => {
    const watched = this.#paths.get(path)
    if (watched === undefined) return
    if (watched.state === 'armed') this.#rearm(path, watched)
    else watched.hasFired = true
  }

  #rearm(path: string, watched: WatchedPath): void {
    watched.state = 'waiting'
    this.#waiting.add(path)
    this.#armWaiting()
  }

  /** Soon, and not from inside the library: what the one told throws is not the library's to handle. */
  #tell(watched: WatchedPath, listener: Listener): void {
    if (listener.isPending) return
    listener.isPending = true
    queueMicrotask(() => {
      listener.isPending = false
      if (watched.listeners.has(listener) && !this.#isClosed) listener.onChange()
    })
  }
}
