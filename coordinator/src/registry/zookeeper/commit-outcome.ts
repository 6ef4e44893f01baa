import { assert } from '@popmq/kit'
import { MqError } from '@popmq/protocol'
import type { CommitOutcome, RegistryOp, RejectReason } from '../../core/registry-port.ts'
import type { Reply } from './connection.ts'
import {
  createModes,
  errorCodes,
  opTypes,
  type TransactionOp,
  type TransactionResult,
} from './library.ts'

export interface Layout {
  /** The full path of a node of the registry. */
  readonly at: (path: string) => string
  /** Who may use the nodes that are made. */
  readonly acls: readonly unknown[]
}

/** The ops as they go into a transaction, with copies of the values: sending may have to wait. */
export function transactionOps(ops: readonly RegistryOp[], { at, acls }: Layout): TransactionOp[] {
  return ops.map((op) => {
    const path = at(op.path)
    switch (op.kind) {
      case 'create': {
        const mode = op.ephemeral === true ? createModes.ephemeral : createModes.persistent
        return { type: opTypes.create, path, data: Buffer.from(op.value), acls, mode }
      }
      case 'set': {
        const version = theirVersion(op.version)
        return { type: opTypes.set, path, data: Buffer.from(op.value), version }
      }
      case 'check':
      case 'remove':
        assert(op.kind !== 'remove' || op.path !== '/', 'the root of the registry stays')
        return { type: opTypes[op.kind], path, version: theirVersion(op.version) }
      default:
        return op satisfies never
    }
  })
}

/** ZooKeeper counts from 0, and −1 means any: a version that no node has must not become that. */
function theirVersion(version: number | undefined): number {
  if (version === undefined) return anyVersion
  return version >= 1 && version <= mostVersion ? version - 1 : noVersion
}

const anyVersion = -1
const noVersion = -2
const mostVersion = 2_147_483_648

/**
 * @throws MqError `registry_unavailable` when ZooKeeper refused one op for a reason that committing again does not mend,
 * as a quota or missing rights: nothing was done.
 */
export function outcomeOf(
  reply: Reply<readonly TransactionResult[] | undefined>,
  ops: readonly RegistryOp[],
): CommitOutcome {
  if (reply.kind === 'answered') return { kind: 'applied' }
  if (reply.kind === 'unanswered') return { kind: 'unknown' }
  const results = reply.value
  // Refused as a whole, as by a server that the session has left: whether it was done, it does not say.
  if (results === undefined) return { kind: 'unknown' }
  const index = results.findIndex(({ err }) => err !== undefined && err !== 0)
  const code = results[index]?.err
  const reason = code === undefined ? undefined : rejectReasons.get(code)
  if (reason !== undefined) return { kind: 'rejected', index, reason }
  const op = ops[index]
  throw new MqError(
    'registry_unavailable',
    `ZooKeeper refused to ${op?.kind} ${op?.path} with ${reply.text}`,
  )
}

const rejectReasons = new Map<number, RejectReason>([
  [errorCodes.nodeExists, 'exists'],
  [errorCodes.noNode, 'missing'],
  [errorCodes.badVersion, 'version'],
  [errorCodes.notEmpty, 'children'],
  [errorCodes.noChildrenForEphemerals, 'children'],
])
