import { type Clock, type Log, type Random, silentLog } from '@popmq/kit'
import { MqError } from '@popmq/protocol'
import type { Registry, RegistrySession } from '../../core/registry-port.ts'
import type { Credentials } from './connection.ts'
import { parseHosts } from './hosts.ts'
import type { SessionLinkOptions } from './session-link.ts'
import { ZookeeperSession } from './zookeeper-session.ts'

export interface ZookeeperRegistryOptions {
  /** `host:port,host:port/path`: the servers, and the node that is the registry's root. It is made when missing. */
  readonly hosts: string
  readonly clock: Clock
  readonly random: Random
  /** @defaultValue silent */
  readonly log?: Log
  /** How long a session lives unheard; the servers may bound it. @defaultValue 10_000, 500..600_000 */
  readonly sessionMs?: number
  /** The longest that one operation waits for a connection and its answer. @defaultValue 5_000, 100..600_000 */
  readonly operationMs?: number
  /** With it the nodes that are made are this user's alone. */
  readonly auth?: Credentials
}

/** The registry of many machines, kept by a ZooKeeper ensemble. Each session of it is a ZooKeeper session. */
export class ZookeeperRegistry implements Registry {
  readonly #options: SessionLinkOptions
  readonly #sessions = new Set<ZookeeperSession>()
  readonly #opening = new Set<Promise<ZookeeperSession>>()
  #isClosed = false

  /** Connects to nothing yet. @throws MqError `invalid_config` */
  constructor({
    hosts,
    sessionMs = 10_000,
    operationMs = 5_000,
    log = silentLog,
    auth,
    clock,
    random,
  }: ZookeeperRegistryOptions) {
    checkRange('sessionMs', sessionMs, 500)
    checkRange('operationMs', operationMs, 100)
    if (auth !== undefined && !/^[^:]+$/.test(auth.user))
      throw new MqError('invalid_config', 'the ZooKeeper user has a name without ":"')
    this.#options = {
      hosts: parseHosts(hosts),
      sessionMs,
      operationMs,
      auth,
      clock,
      random,
      log,
    }
  }

  async openSession(lost: (reason: Error) => void): Promise<RegistrySession> {
    if (this.#isClosed) throw new MqError('registry_unavailable', 'the registry was closed')
    for (const session of this.#sessions) if (session.isOver) this.#sessions.delete(session)
    const opening = ZookeeperSession.open(this.#options, lost)
    this.#opening.add(opening)
    try {
      const session = await opening
      this.#sessions.add(session)
      return session
    } finally {
      this.#opening.delete(opening)
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.allSettled(this.#opening)
    await Promise.all([...this.#sessions].map((session) => session.close()))
  }
}

function checkRange(name: string, value: number, least: number): void {
  if (Number.isInteger(value) && value >= least && value <= 600_000) return
  throw new MqError('invalid_config', `${name} is ${least}..600000 ms, got ${value}`)
}
