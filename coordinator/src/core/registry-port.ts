import { assert } from '@popmq/kit'

/**
 * The registry: a small tree of nodes, each a value with a version, that outlives every coordinator. Implementations:
 * `memory` for tests and simulation, `embedded` for one machine, `zookeeper` for many. One contract suite
 * (`registry/testing/registry-contract.ts`) passes on all of them.
 *
 * A path is `/` (the root, always there) or `/name/name…`; a name is 1 to 255 of A-Z a-z 0-9 . _ - and starts with a
 * letter, a digit or `_`. A version is 1 when a node is made and grows by 1 with each set; a node removed and made
 * again starts at 1 again, so what must never come back needs a number of its own in the value.
 */
export interface Registry {
  /**
   * Opens a session. `lost` is called once if it ends other than by `close`: it never comes back and its ephemeral
   * nodes are or will be gone; who needs the registry further opens another. It is called by the clock of this process
   * too, when nothing was heard for so long that the session may be over: so a leader knows before another is elected.
   * @throws MqError `registry_unavailable`
   */
  openSession(lost: (reason: Error) => void): Promise<RegistrySession>
  /** Closes every session, then what lies below. Their `lost` is not called. */
  close(): Promise<void>
}

/**
 * One user of the registry. What it reads is at least as new as its own last answered commit; other sessions' commits
 * may show later. It never shows what a crash could take back. Only the checks of a commit decide.
 */
export interface RegistrySession {
  /** @returns undefined when there is no such node. @throws MqError `registry_unavailable` */
  read(path: string): Promise<RegistryNode | undefined>
  /** Names of the children, sorted; undefined when there is no such node. @throws MqError `registry_unavailable` */
  children(path: string): Promise<readonly string[] | undefined>
  /**
   * Carries out all of `ops`, in order, or none. Within `registryLimits`.
   * @throws MqError `disk_full`, or `registry_unavailable` when an op is forbidden: nothing was done, and committing again
   * would not help. Any other trouble is the outcome `unknown`.
   */
  commit(ops: readonly RegistryOp[]): Promise<CommitOutcome>
  /**
   * A hint: calls `onChange` at least once after the node at `path` was made, set or removed, or a child of it was made
   * or removed. Changes may share one call and a call may come without a change, so the one called reads again. Never
   * called from inside another call of the session. @returns how to stop it
   */
  watch(path: string, onChange: () => void): () => void
  /** Ends the session: its ephemeral nodes go. Idempotent. */
  close(): Promise<void>
}

export interface RegistryNode {
  readonly value: Uint8Array
  readonly version: number
  /** It goes with the session that made it and has no children. */
  readonly ephemeral: boolean
}

/** One step of a commit. An absent `version` means whatever version the node has. */
export type RegistryOp =
  /** Holds when the node is there with this version. */
  | { readonly kind: 'check'; readonly path: string; readonly version?: number }
  /** Makes a node with version 1; its parent must be there. */
  | {
      readonly kind: 'create'
      readonly path: string
      readonly value: Uint8Array
      readonly ephemeral?: boolean
    }
  | {
      readonly kind: 'set'
      readonly path: string
      readonly value: Uint8Array
      readonly version?: number
    }
  | { readonly kind: 'remove'; readonly path: string; readonly version?: number }

/**
 * `exists` the node to create is there; `missing` the node, or the parent of one to create, is not; `version` it has
 * another; `children` it has children, or its parent is ephemeral and may have none.
 */
export type RejectReason = 'exists' | 'missing' | 'version' | 'children'

export type CommitOutcome =
  | { readonly kind: 'applied' }
  /** Nothing was done: `ops[index]` did not hold. */
  | { readonly kind: 'rejected'; readonly index: number; readonly reason: RejectReason }
  /** It was done, was not done, or will be done still: reading does not tell, committing it again does. */
  | { readonly kind: 'unknown' }

/** What every implementation can hold; ZooKeeper drops the connection above 1 MiB. */
export const registryLimits = {
  valueBytes: 512 * 1_024,
  /** Paths and values of a commit that carries more than one value. */
  commitBytes: 256 * 1_024,
  opBytes: 64,
} as const

const pathPattern = /^(?:\/|(?:\/[A-Za-z0-9_][A-Za-z0-9._-]{0,254})+)$/

export function checkPath(path: string): void {
  assert(pathPattern.test(path), `a registry path is / or /name/name, got ${JSON.stringify(path)}`)
}

/** Breaking a limit is a defect of the caller: what users may make long is bounded before it comes here. */
export function checkOps(ops: readonly RegistryOp[]): void {
  let commitBytes = 0
  let values = 0
  for (const op of ops) {
    checkPath(op.path)
    commitBytes += registryLimits.opBytes + op.path.length
    if (op.kind !== 'create' && op.kind !== 'set') continue
    assert(op.value.length <= registryLimits.valueBytes, 'a registry value has at most 512 KiB')
    assert(op.path !== '/', 'the root of the registry has no value')
    commitBytes += op.value.length
    values += 1
  }
  assert(
    values <= 1 || commitBytes <= registryLimits.commitBytes,
    'a registry commit has at most 256 KiB',
  )
}

/** `/a/b` → `/a`; `/a` → `/`. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash <= 0 ? '/' : path.slice(0, slash)
}
