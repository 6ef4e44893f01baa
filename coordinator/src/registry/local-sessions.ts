import { MqError } from '@popmq/protocol'
import {
  checkPath,
  type CommitOutcome,
  type RegistryNode,
  type RegistryOp,
  type RegistrySession,
} from '../core/registry-port.ts'
import type { RegistryTree } from '../core/registry-tree.ts'

/** A tree in this process, as the sessions on it use it. */
export interface TreeHolder {
  /** What may be read: everything answered, nothing that a crash could take back. */
  readonly tree: RegistryTree
  commit(ops: readonly RegistryOp[], session: number): Promise<CommitOutcome>
  /** Removes the ephemeral nodes of a session. */
  endSession(session: number): Promise<void>
}

interface Watch {
  readonly session: number
  readonly onChange: () => void
  pending: boolean
}

/**
 * The sessions of a registry that lives in this process. A session is
 *   open → closed   by its user: its ephemeral nodes are removed
 *   open → lost     from outside: the user is told, its ephemeral nodes are removed
 * and in both later states every read fails and every commit is `unknown`.
 */
export class LocalSessions {
  readonly #holder: TreeHolder
  readonly #lostBySession = new Map<number, (reason: Error) => void>()
  readonly #watches = new Map<string, Set<Watch>>()
  #lastSession = 0

  constructor(holder: TreeHolder) {
    this.#holder = holder
  }

  get open(): readonly number[] {
    return [...this.#lostBySession.keys()]
  }

  /** @returns the session and its number, which starts at 1 with each process */
  openSession(lost: (reason: Error) => void): { session: RegistrySession; number: number } {
    this.#lastSession += 1
    const number = this.#lastSession
    this.#lostBySession.set(number, lost)
    const session: RegistrySession = {
      read: (path) => this.#read(number, path),
      children: (path) => this.#children(number, path),
      commit: (ops) =>
        this.#isOpen(number)
          ? this.#holder.commit(ops, number)
          : Promise.resolve({ kind: 'unknown' }),
      watch: (path, onChange) => this.#watch(path, { session: number, onChange, pending: false }),
      close: () => this.#end(number),
    }
    return { session, number }
  }

  /** Ends a session from outside. */
  async lose(number: number, reason: Error): Promise<void> {
    const lost = this.#lostBySession.get(number)
    if (lost === undefined) return
    await this.#end(number)
    lost(reason)
  }

  async closeAll(): Promise<void> {
    for (const number of this.open) await this.#end(number)
  }

  /** Tells the watchers of `paths`, soon and not from inside this call. */
  changed(paths: Iterable<string>): void {
    for (const path of paths)
      for (const watch of this.#watches.get(path) ?? []) this.#tell(path, watch)
  }

  #tell(path: string, watch: Watch): void {
    if (watch.pending) return
    watch.pending = true
    queueMicrotask(() => {
      watch.pending = false
      if (this.#watches.get(path)?.has(watch) === true && this.#isOpen(watch.session))
        watch.onChange()
    })
  }

  #watch(path: string, watch: Watch): () => void {
    checkPath(path)
    const watches = this.#watches.get(path) ?? new Set<Watch>()
    watches.add(watch)
    this.#watches.set(path, watches)
    return () => {
      watches.delete(watch)
      if (watches.size === 0 && this.#watches.get(path) === watches) this.#watches.delete(path)
    }
  }

  #isOpen(number: number): boolean {
    return this.#lostBySession.has(number)
  }

  async #read(number: number, path: string): Promise<RegistryNode | undefined> {
    this.#checkOpen(number)
    checkPath(path)
    return this.#holder.tree.read(path)
  }

  async #children(number: number, path: string): Promise<readonly string[] | undefined> {
    this.#checkOpen(number)
    checkPath(path)
    return this.#holder.tree.children(path)
  }

  #checkOpen(number: number): void {
    if (!this.#isOpen(number))
      throw new MqError('registry_unavailable', 'the session with the registry has ended')
  }

  async #end(number: number): Promise<void> {
    if (!this.#lostBySession.delete(number)) return
    for (const [path, watches] of this.#watches) {
      for (const watch of watches) if (watch.session === number) watches.delete(watch)
      if (watches.size === 0) this.#watches.delete(path)
    }
    await this.#holder.endSession(number)
  }
}
