import { type Clock, deferred, type Random, sleep } from '@popmq/kit'
import { type Checked, MqError, object, text, whole } from '@popmq/protocol'
import { readClusterId } from './cluster-identity.ts'
import type { RegistrySession } from './registry-port.ts'
import { decodeValue, encodeValue, paths } from './registry-values.ts'

/** Made by the coordinator that leads, and gone with its session. Beside those of `registry-values.ts`. */
export const electionPath = '/election'

export const candidateValue = object({
  id: whole(1, 0xffff),
  /** Where others reach it: host:port. */
  address: text(256, 1),
  /** Random text of one session: who made a node when its outcome was unknown, and whether it is of this session. */
  term: text(64, 1),
})
export type Candidate = Checked<typeof candidateValue>

/** What a standby knows. */
export interface Standing {
  /** host:port of the coordinator that leads; undefined while the one that did may be gone. */
  readonly leader: string | undefined
  /** undefined while there is no cluster yet. */
  readonly clusterId: string | undefined
}

export interface ElectionOptions {
  readonly session: RegistrySession
  readonly clock: Clock
  readonly random: Random
  readonly self: Candidate
  /** Aborted when the session is over or the coordinator stops. */
  readonly over: AbortSignal
  /** Another one leads: called at each change of what is known of it. */
  readonly standby: (standing: Standing) => void
}

/** Standbys that see the node go try within this time, at random, so that a crowd does not come at once. */
const jitterMs = 200
/** The least time between two tries of one coordinator. */
const pauseMs = 50

/**
 * One coordinator in the election, over one session of the registry. To lead is to have made `/election`; whether that
 * is so is read, never concluded from an outcome. Winning gives no right to write: `Leadership` takes that.
 *    candidate → won       the node is of this session
 *    candidate → standby   the node is another's; or of this one's own last session, which the registry has not ended
 *    standby → candidate   the node has gone
 *    any → over            with the session
 */
export class Election {
  readonly #options: ElectionOptions
  #news = deferred()
  /** The first try need not wait: nobody else saw the same node go. */
  #waitMs = 0

  constructor(options: ElectionOptions) {
    this.#options = options
  }

  /**
   * Resolves when the node is ours, after however long a time as a standby.
   * @throws MqError the reason when it is over; `registry_unavailable`, `newer_format`, `data_directory_invalid`
   */
  async won(): Promise<void> {
    const { session, over } = this.#options
    const wake = (): void => this.#news.resolve()
    over.addEventListener('abort', wake)
    const unwatch = [electionPath, paths.cluster].map((path) => session.watch(path, wake))
    try {
      for (let found = await this.#look(); found !== 'ours'; found = await this.#look()) {
        if (found === 'free') await this.#try()
        else await this.#news.promise
      }
    } finally {
      for (const stop of unwatch) stop()
      over.removeEventListener('abort', wake)
    }
  }

  async #look(): Promise<'free' | 'ours' | 'taken'> {
    const { session, over, self, standby } = this.#options
    // Before it reads: what changes from here on is news.
    this.#news = deferred()
    throwIfOver(over)
    const node = await session.read(electionPath)
    throwIfOver(over)
    if (node === undefined) return 'free'
    const { term, address } = decodeValue(candidateValue, electionPath, node)
    if (term === self.term) return 'ours'
    const clusterId = await readClusterId(session)
    throwIfOver(over)
    standby({ leader: address === self.address ? undefined : address, clusterId })
    this.#waitMs = this.#options.random.next() * jitterMs
    return 'taken'
  }

  /** Waits its time, then has it looked at again; or tries. */
  async #try(): Promise<void> {
    const { session, clock, random, over, self } = this.#options
    const waitMs = this.#waitMs
    this.#waitMs = 0
    if (waitMs > 0) return sleep(clock, waitMs, over)
    const value = encodeValue(self)
    await session.commit([{ kind: 'create', path: electionPath, value, ephemeral: true }])
    this.#waitMs = pauseMs + random.next() * jitterMs
  }
}

export function throwIfOver(over: AbortSignal): void {
  if (!over.aborted) return
  const { reason } = over
  throw reason instanceof MqError
    ? reason
    : new MqError('registry_unavailable', 'the session with the registry is over')
}
