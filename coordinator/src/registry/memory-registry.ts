import { MqError } from '@popmq/protocol'
import type { CommitOutcome, Registry, RegistryOp, RegistrySession } from '../core/registry-port.ts'
import { RegistryTree, touchedPaths } from '../core/registry-tree.ts'
import { LocalSessions } from './local-sessions.ts'

/** What becomes of the next commit: `unanswered` it is done, `dropped` it is not; both answer `unknown`. */
export type CommitFault = 'none' | 'unanswered' | 'dropped'

export interface MemoryRegistryOptions {
  /** Asked before each commit. Default: no faults. */
  readonly fault?: (ops: readonly RegistryOp[]) => CommitFault
}

/** The registry for tests and simulation: it lives as long as this object, through any number of coordinators. */
export class MemoryRegistry implements Registry {
  readonly #tree = new RegistryTree()
  readonly #fault: (ops: readonly RegistryOp[]) => CommitFault
  readonly #sessions: LocalSessions
  readonly #numbers = new Map<RegistrySession, number>()

  constructor({ fault = () => 'none' }: MemoryRegistryOptions = {}) {
    this.#fault = fault
    this.#sessions = new LocalSessions({
      tree: this.#tree,
      commit: (ops, session) => this.#commit(ops, session),
      endSession: (session) => this.#endSession(session),
    })
  }

  async openSession(lost: (reason: Error) => void): Promise<RegistrySession> {
    const { session, number } = this.#sessions.openSession(lost)
    this.#numbers.set(session, number)
    return session
  }

  /** Ends a session as an expiry does. */
  async expire(session: RegistrySession): Promise<void> {
    const number = this.#numbers.get(session)
    if (number === undefined) return
    await this.#sessions.lose(
      number,
      new MqError('registry_unavailable', 'the session with the registry has expired'),
    )
  }

  async close(): Promise<void> {
    await this.#sessions.closeAll()
  }

  async #commit(ops: readonly RegistryOp[], session: number): Promise<CommitOutcome> {
    const fault = this.#fault(ops)
    if (fault === 'dropped') return { kind: 'unknown' }
    const outcome = this.#tree.commit(ops, session)
    if (outcome.kind === 'applied') this.#sessions.changed(touchedPaths(ops))
    return fault === 'unanswered' ? { kind: 'unknown' } : outcome
  }

  async #endSession(session: number): Promise<void> {
    const ops = this.#tree.ephemerals(session).map((path): RegistryOp => ({ kind: 'remove', path }))
    this.#tree.commit(ops, session)
    this.#sessions.changed(touchedPaths(ops))
  }
}
