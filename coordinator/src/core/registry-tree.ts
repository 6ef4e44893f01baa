import { assert, present } from '@popmq/kit'
import {
  checkOps,
  type CommitOutcome,
  parentOf,
  type RegistryNode,
  type RegistryOp,
  type RejectReason,
} from './registry-port.ts'

/** A node with the session that an ephemeral one belongs to; 0: it belongs to none. */
export interface TreeNode {
  readonly path: string
  readonly value: Uint8Array
  readonly version: number
  readonly owner: number
}

/** The registry's tree in memory. A commit is all or nothing; values are copied in, and never changed afterwards. */
export class RegistryTree {
  readonly #nodes = new Map<string, TreeNode>()
  readonly #children = new Map<string, Set<string>>()

  constructor() {
    this.#put({ path: '/', value: new Uint8Array(0), version: 1, owner: 0 })
  }

  read(path: string): RegistryNode | undefined {
    const node = this.#nodes.get(path)
    if (node === undefined) return undefined
    return { value: node.value.slice(), version: node.version, ephemeral: node.owner !== 0 }
  }

  children(path: string): string[] | undefined {
    if (!this.#nodes.has(path)) return undefined
    return [...(this.#children.get(path) ?? [])].toSorted()
  }

  /** Carries out all of `ops` for `session` or none of them. */
  commit(ops: readonly RegistryOp[], session: number): Exclude<CommitOutcome, { kind: 'unknown' }> {
    checkOps(ops)
    const undo: (() => void)[] = []
    for (const [index, op] of ops.entries()) {
      const reason = this.#refusal(op)
      if (reason !== undefined) {
        for (const step of undo.toReversed()) step()
        return { kind: 'rejected', index, reason }
      }
      undo.push(this.#carryOut(op, session))
    }
    return { kind: 'applied' }
  }

  /** Paths of the ephemeral nodes of a session, or of all of them, in the order of their paths. */
  ephemerals(session?: number): string[] {
    return [...this.#nodes.values()]
      .filter(({ owner }) => owner !== 0 && (session === undefined || owner === session))
      .map(({ path }) => path)
      .toSorted()
  }

  /** Every node but the root, parents before children: the content of a snapshot. */
  nodes(): TreeNode[] {
    return [...this.#nodes.values()]
      .filter(({ path }) => path !== '/')
      .toSorted((a, b) => (a.path < b.path ? -1 : 1))
  }

  /** Puts back a node of a snapshot. Its parent is there already. */
  restore(node: TreeNode): void {
    assert(!this.#nodes.has(node.path), 'a snapshot holds a node once')
    assert(this.#nodes.has(parentOf(node.path)), 'a snapshot holds parents before children')
    this.#put(node)
  }

  #refusal(op: RegistryOp): RejectReason | undefined {
    const node = this.#nodes.get(op.path)
    if (op.kind === 'create') {
      if (node !== undefined) return 'exists'
      const parent = this.#nodes.get(parentOf(op.path))
      if (parent === undefined) return 'missing'
      return parent.owner === 0 ? undefined : 'children'
    }
    if (node === undefined) return 'missing'
    if (op.version !== undefined && op.version !== node.version) return 'version'
    if (op.kind === 'remove' && (this.#children.get(op.path)?.size ?? 0) > 0) return 'children'
    assert(op.kind !== 'remove' || op.path !== '/', 'the root of the registry stays')
    return undefined
  }

  /** @returns what undoes it */
  #carryOut(op: RegistryOp, session: number): () => void {
    switch (op.kind) {
      case 'check':
        return () => undefined
      case 'create': {
        const owner = op.ephemeral === true ? session : 0
        this.#put({ path: op.path, value: op.value.slice(), version: 1, owner })
        return () => this.#drop(op.path)
      }
      case 'set': {
        const before = present(this.#nodes.get(op.path), 'a node to set is there')
        this.#put({ ...before, value: op.value.slice(), version: before.version + 1 })
        return () => this.#put(before)
      }
      case 'remove': {
        const before = present(this.#nodes.get(op.path), 'a node to remove is there')
        this.#drop(op.path)
        return () => this.#put(before)
      }
      default:
        return op satisfies never
    }
  }

  #put(node: TreeNode): void {
    this.#nodes.set(node.path, node)
    if (node.path === '/') return
    const parent = parentOf(node.path)
    const siblings = this.#children.get(parent) ?? new Set<string>()
    siblings.add(node.path.slice(node.path.lastIndexOf('/') + 1))
    this.#children.set(parent, siblings)
  }

  #drop(path: string): void {
    this.#nodes.delete(path)
    this.#children.delete(path)
    this.#children.get(parentOf(path))?.delete(path.slice(path.lastIndexOf('/') + 1))
  }
}

/** The paths whose watchers are told when `ops` have been carried out. */
export function touchedPaths(ops: readonly RegistryOp[]): Set<string> {
  const touched = new Set<string>()
  for (const op of ops) {
    if (op.kind === 'check') continue
    touched.add(op.path)
    if (op.kind !== 'set') touched.add(parentOf(op.path))
  }
  return touched
}
