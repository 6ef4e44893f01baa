import { createRequire } from 'node:module'
import { assert } from '@popmq/kit'

/**
 * What we use of node-zookeeper-client, typed by hand: it comes without types, and we reach below its public face.
 * That is why its version is pinned, and checked when this is loaded.
 */

const require = createRequire(import.meta.url)
const manifest = require('node-zookeeper-client/package.json') as { version: string }

export const libraryVersion = '1.1.3'

export function checkLibraryVersion(version: string): void {
  assert(
    version === libraryVersion,
    `node-zookeeper-client is ${libraryVersion}, whose inner workings we know, not ${version}`,
  )
}

checkLibraryVersion(manifest.version)

export interface LibraryError {
  code: number
  name: string
  message: string
}

export type Answer<T> = (error: LibraryError | null | undefined, value: T) => void

export interface NodeStat {
  /** From 0. */
  readonly version: number
  /** Eight bytes, all 0 where no session owns the node. */
  readonly ephemeralOwner: Uint8Array
}

export interface WatchEvent {
  readonly path: string
}

/** One step of a transaction. `version` −1 means any. */
export interface TransactionOp {
  readonly type: number
  readonly path: string
  readonly data?: Buffer
  readonly acls?: readonly unknown[]
  readonly mode?: number
  readonly version?: number
}

/** `err` is there on every result of a failed transaction: 0 before the op that failed. */
export interface TransactionResult {
  readonly err?: number
}

export interface LibraryClient {
  readonly connectionManager: ConnectionManager
  addAuthInfo(scheme: string, auth: Buffer): void
  exists(
    path: string,
    watcher: ((event: WatchEvent) => void) | undefined,
    answer: Answer<NodeStat | null | undefined>,
  ): void
  getData(
    path: string,
    watcher: undefined,
    answer: (error: LibraryError | null | undefined, data?: Buffer, stat?: NodeStat) => void,
  ): void
  getChildren(
    path: string,
    watcher: ((event: WatchEvent) => void) | undefined,
    answer: Answer<string[] | undefined>,
  ): void
  transaction(): {
    readonly ops: TransactionOp[]
    commit(answer: Answer<TransactionResult[] | undefined>): void
  }
  close(): void
}

/** The inner part that owns a socket. We open the socket ourselves and hand it one whole frame at a time. */
export interface ConnectionManager {
  socket: unknown
  zxid: Buffer
  readonly sessionId: Buffer
  readonly sessionPassword: Buffer
  readonly sessionTimeout: number
  setState(state: number): void
  onSocketConnected(): void
  onSocketData(frame: Buffer): void
  onSocketDrain(): void
  on(event: 'state', listener: (state: number) => void): void
}

interface Library {
  createClient(
    hosts: string,
    options: {
      sessionTimeout: number
      retries: number
      sessionId?: Buffer
      sessionPassword?: Buffer
    },
  ): LibraryClient
  readonly ACL: {
    readonly OPEN_ACL_UNSAFE: readonly unknown[]
    readonly CREATOR_ALL_ACL: readonly unknown[]
  }
}

interface Exceptions {
  create: (code: number, path?: string) => LibraryError
  readonly [code: string]: unknown
}

export const library = require('node-zookeeper-client') as Library

export const connectionStates = {
  connecting: 1,
  connected: 2,
  sessionExpired: -3,
  authenticationFailed: -4,
} as const

export const opTypes = { create: 1, remove: 2, set: 5, check: 13 } as const

export const createModes = { persistent: 0, ephemeral: 1 } as const

export const errorCodes = {
  noNode: -101,
  badVersion: -103,
  noChildrenForEphemerals: -108,
  nodeExists: -110,
  notEmpty: -111,
} as const

/** Codes of newer servers. The library throws at those inside its socket handler, and the answer is lost. */
const unknownToLibrary: Readonly<Record<number, string>> = {
  [-118]: 'SESSION_MOVED',
  [-119]: 'NOT_READONLY',
  [-120]: 'EPHEMERAL_ON_LOCAL_SESSION',
  [-122]: 'REQUEST_TIMEOUT',
  [-124]: 'SESSION_CLOSED_REQUIRE_SASL_AUTH',
  [-125]: 'QUOTA_EXCEEDED',
  [-127]: 'THROTTLED_OP',
}

teachErrorCodes(require('node-zookeeper-client/lib/Exception.js') as Exceptions)

/** Makes the library take any code for an error, where it made an exception of those that it does not know. */
function teachErrorCodes(exceptions: Exceptions): void {
  const { create } = exceptions
  const known = new Set(Object.values(exceptions))
  exceptions.create = (code, path) => {
    if (known.has(code)) return create(code, path)
    const error = create(exceptions['API_ERROR'] as number, path)
    error.code = code
    error.name = unknownToLibrary[code] ?? 'UNKNOWN'
    error.message = `Exception: ${error.name}[${code}]`
    return error
  }
}
