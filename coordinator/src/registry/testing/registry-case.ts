import { deferred } from '@popmq/kit'
import {
  type CommitOutcome,
  type RegistryOp,
  type RegistrySession,
} from '../../core/registry-port.ts'

/** A registry of its own for one test, empty, or with a root of its own that is. */
export interface RegistrySubject {
  openSession(lost: (reason: Error) => void): Promise<RegistrySession>
  /** Ends a session as a network that is cut for long does; absent where that cannot happen. */
  readonly expire?: (session: RegistrySession) => Promise<void>
  close(): Promise<void>
}

export interface RegistryCase {
  readonly subject: RegistrySubject
  readonly session: RegistrySession
  /** Another session on the same registry. */
  readonly other: RegistrySession
}

/** States a fact as a test of its own. */
export type Fact = (sentence: string, check: (one: RegistryCase) => Promise<void>) => void

export const applied: CommitOutcome = { kind: 'applied' }
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
export const create = (path: string, value = '', ephemeral = false): RegistryOp => ({
  kind: 'create',
  path,
  value: bytes(value),
  ephemeral,
})
export const set = (path: string, value: string, version?: number): RegistryOp => ({
  kind: 'set',
  path,
  value: bytes(value),
  ...at(version),
})
export const remove = (path: string, version?: number): RegistryOp => ({
  kind: 'remove',
  path,
  ...at(version),
})
export const check = (path: string, version?: number): RegistryOp => ({
  kind: 'check',
  path,
  ...at(version),
})
const at = (version: number | undefined): { version?: number } =>
  version === undefined ? {} : { version }

export async function seen(
  session: RegistrySession,
  path: string,
): Promise<[string, number] | undefined> {
  const node = await session.read(path)
  return node && [new TextDecoder().decode(node.value), node.version]
}

/**
 * Watches `path` at once; resolves when a hint has come after which `isSo`. A hint may come without a change, or before
 * this session can see it: then it reads again at the next one, as every user of a watch must.
 */
export async function toldUntil(
  session: RegistrySession,
  path: string,
  isSo: () => Promise<boolean>,
): Promise<void> {
  let hint = deferred()
  const stop = session.watch(path, () => hint.resolve())
  do {
    await hint.promise
    hint = deferred()
  } while (!(await isSo()))
  stop()
}

export function unexpected(reason: Error): void {
  throw new Error('a session was lost', { cause: reason })
}
