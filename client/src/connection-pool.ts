import { Backoff, type Clock, type Random } from '@popmq/kit'
import { asMqError, MqError } from '@popmq/protocol'
import { Caller, type Transport } from '@popmq/transport'

export interface ConnectionPoolDeps {
  readonly transport: Transport
  readonly clock: Clock
  readonly random: Random
  /** The name that the client gives itself. */
  readonly client: string
}

/** One server and the connection to it, if there is one. */
interface Connection {
  readonly backoff: Backoff
  caller: Promise<Caller> | undefined
  /** Before this time (monotonic) nothing is tried: the last try failed. */
  retryAt: number
  lastError: MqError | undefined
}

const reconnectPause = { firstMs: 20, mostMs: 1_000 }

/** At most one connection to each server, opened when it is first asked for and again after it was lost. */
export class ConnectionPool {
  readonly #deps: ConnectionPoolDeps
  readonly #connections = new Map<string, Connection>()
  readonly #closing = new AbortController()
  /** The cluster that every server must belong to, once it is known. */
  clusterId: string | undefined

  constructor(deps: ConnectionPoolDeps) {
    this.#deps = deps
  }

  /**
   * The connection to `address`.
   * @throws MqError `unreachable`, at once while the last failure is fresh; `unsupported_version`, `closed`
   */
  caller(address: string): Promise<Caller> {
    const connection = this.#connection(address)
    if (connection.caller !== undefined) return connection.caller
    if (this.#closing.signal.aborted) {
      return Promise.reject(new MqError('closed', 'the client is closed'))
    }
    const { lastError } = connection
    if (lastError !== undefined && this.#deps.clock.monotonic() < connection.retryAt) {
      return Promise.reject(lastError)
    }
    connection.caller = this.#open(address, connection)
    return connection.caller
  }

  /** Closes all connections; what is under way on them fails. */
  async close(): Promise<void> {
    this.#closing.abort()
    const callers = [...this.#connections.values()].flatMap(({ caller }) => caller ?? [])
    this.#connections.clear()
    for (const opened of await Promise.allSettled(callers)) {
      if (opened.status === 'fulfilled') await opened.value.close()
    }
  }

  #connection(address: string): Connection {
    let connection = this.#connections.get(address)
    if (connection === undefined) {
      const backoff = new Backoff(this.#deps.random, reconnectPause)
      connection = { backoff, caller: undefined, retryAt: 0, lastError: undefined }
      this.#connections.set(address, connection)
    }
    return connection
  }

  /** What took long to fail is left alone for as long: who waits for it could ask another meanwhile. */
  async #open(address: string, connection: Connection): Promise<Caller> {
    const { transport, clock, client } = this.#deps
    const startedMs = clock.monotonic()
    try {
      const { signal } = this.#closing
      const caller = await Caller.connect(transport, address, { clock, client, signal })
      await this.#checkCluster(address, caller)
      caller.onClosed(() => (connection.caller = undefined))
      connection.lastError = undefined
      connection.backoff.reset()
      return caller
    } catch (error) {
      connection.caller = undefined
      connection.lastError = this.#whyNot(address, asMqError(error))
      const nowMs = clock.monotonic()
      connection.retryAt = nowMs + Math.max(connection.backoff.nextMs(), nowMs - startedMs)
      throw connection.lastError
    }
  }

  async #checkCluster(address: string, caller: Caller): Promise<void> {
    const { clusterId } = caller.hello
    if (this.clusterId === undefined || this.clusterId === clusterId) return
    await caller.close()
    throw new MqError(
      'unreachable',
      `${address} belongs to cluster ${clusterId}, this client is connected to ${this.clusterId}`,
    )
  }

  /** A failed hello is no failed request: nothing was asked yet. */
  #whyNot(address: string, error: MqError): MqError {
    if (this.#closing.signal.aborted) return new MqError('closed', 'the client is closed')
    if (error.retriable !== 'unknown') return error
    return new MqError('unreachable', `${address} does not answer: ${error.what}`, { cause: error })
  }
}
