import { MqError } from '@popmq/protocol'
import {
  checkOps,
  checkPath,
  type CommitOutcome,
  type RegistryNode,
  type RegistryOp,
  type RegistrySession,
} from '../../core/registry-port.ts'
import { type Layout, outcomeOf, transactionOps } from './commit-outcome.ts'
import type { Reply } from './connection.ts'
import { serverName } from './hosts.ts'
import {
  errorCodes,
  library,
  type NodeStat,
  opTypes,
  createModes,
  type TransactionOp,
  type TransactionResult,
} from './library.ts'
import { SessionLink, type SessionLinkOptions } from './session-link.ts'

/**
 * A session of the port over one ZooKeeper session, and ended with it.
 *
 * Reads are as new as the own last answered commit: a connection carries requests in order, and a later connection is
 * refused by servers that have seen less (`SeenZxid`). They show nothing that a crash takes back: a server applies a
 * transaction only once a majority of the ensemble (one server: itself) has it on disk. A server may lag behind other
 * sessions' commits, as the port allows.
 */
export class ZookeeperSession implements RegistrySession {
  readonly #link: SessionLink
  readonly #layout: Layout
  readonly #chroot: string

  private constructor(link: SessionLink, { hosts: { chroot }, auth }: SessionLinkOptions) {
    const { OPEN_ACL_UNSAFE: anyone, CREATOR_ALL_ACL: oneself } = library.ACL
    this.#link = link
    this.#chroot = chroot
    this.#layout = {
      acls: auth === undefined ? anyone : oneself,
      at: (path) => (path === '/' ? chroot || '/' : chroot + path),
    }
  }

  /** Makes the root of the registry if it is missing. @throws MqError `registry_unavailable` */
  static async open(
    options: SessionLinkOptions,
    lost: (reason: Error) => void,
  ): Promise<ZookeeperSession> {
    let isOpen = false
    // A session that is lost earlier ends what waits for it with the reason.
    const link = new SessionLink(options, (reason) => isOpen && lost(reason))
    const session = new ZookeeperSession(link, options)
    try {
      await session.#makeRoot()
    } catch (cause) {
      await link.close()
      const names = options.hosts.servers.map(serverName).join(', ')
      const why = cause instanceof MqError ? cause.what : String(cause)
      throw new MqError('registry_unavailable', `ZooKeeper at ${names}: ${why}`, { cause })
    }
    isOpen = true
    return session
  }

  /** Lost or closed. */
  get isOver(): boolean {
    return this.#link.isOver
  }

  async read(path: string): Promise<RegistryNode | undefined> {
    checkPath(path)
    const reply = await this.#link.operate<{ data?: Buffer; stat?: NodeStat }>((client, answer) => {
      client.getData(this.#layout.at(path), undefined, (error, data, stat) =>
        answer(error, { ...(data && { data }), ...(stat && { stat }) }),
      )
    })
    const { data, stat } = foundIn(reply, path) ?? {}
    if (stat === undefined) return undefined
    return {
      // Nodes that others made may have no value at all.
      value: data === undefined ? new Uint8Array(0) : new Uint8Array(data),
      version: stat.version + 1,
      ephemeral: stat.ephemeralOwner.some((byte) => byte !== 0),
    }
  }

  async children(path: string): Promise<readonly string[] | undefined> {
    checkPath(path)
    const reply = await this.#link.operate<string[] | undefined>((client, answer) => {
      client.getChildren(this.#layout.at(path), undefined, answer)
    })
    const names = foundIn(reply, path)
    // ZooKeeper keeps a node of its own at its root.
    const isOurs = (name: string): boolean =>
      this.#chroot !== '' || path !== '/' || name !== 'zookeeper'
    return names?.filter(isOurs).toSorted()
  }

  async commit(ops: readonly RegistryOp[]): Promise<CommitOutcome> {
    checkOps(ops)
    return outcomeOf(await this.#transact(transactionOps(ops, this.#layout)), ops)
  }

  watch(path: string, onChange: () => void): () => void {
    checkPath(path)
    return this.#link.watches.watch(this.#layout.at(path), onChange)
  }

  async close(): Promise<void> {
    await this.#link.close()
  }

  #transact(ops: readonly TransactionOp[]): Promise<Reply<TransactionResult[] | undefined>> {
    return this.#link.operate((client, answer) => {
      const transaction = client.transaction()
      // Its own methods turn version 0 into "any".
      transaction.ops.push(...ops)
      transaction.commit(answer)
    })
  }

  async #makeRoot(): Promise<void> {
    const names = this.#chroot.split('/').slice(1)
    const levels = names.map((_, index) => `/${names.slice(0, index + 1).join('/')}`)
    // From below: who may use the root may not even be allowed to ask for what is above it.
    let missing = levels.length
    while (!(await this.#isThere(levels[missing - 1] ?? '/'))) missing -= 1
    for (const path of levels.slice(missing)) {
      const { acls } = this.#layout
      const mode = createModes.persistent
      const reply = await this.#transact([
        { type: opTypes.create, path, data: Buffer.alloc(0), acls, mode },
      ])
      const isThere = reply.kind === 'refused' && reply.code === errorCodes.nodeExists
      if (reply.kind !== 'answered' && !isThere) throw unavailable(`make ${path}`, reply)
    }
  }

  async #isThere(path: string): Promise<boolean> {
    const reply = await this.#link.operate<NodeStat | null | undefined>((client, answer) => {
      client.exists(path, undefined, answer)
    })
    if (reply.kind !== 'answered') throw unavailable(`find ${path}`, reply)
    return reply.value !== null && reply.value !== undefined
  }
}

/** @returns undefined when there is no such node */
function foundIn<T>(reply: Reply<T>, path: string): T | undefined {
  if (reply.kind === 'answered') return reply.value
  if (reply.kind === 'refused' && reply.code === errorCodes.noNode) return undefined
  throw unavailable(`read ${path}`, reply)
}

function unavailable(what: string, reply: Exclude<Reply<unknown>, { kind: 'answered' }>): MqError {
  const why = reply.kind === 'refused' ? `ZooKeeper says ${reply.text}` : reply.why
  return new MqError('registry_unavailable', `could not ${what}: ${why}`)
}
