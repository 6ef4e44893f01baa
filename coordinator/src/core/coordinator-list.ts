import { type Clock, deferred, sleep } from '@popmq/kit'
import { isMqError } from '@popmq/protocol'
import { type Candidate, candidateValue } from './election.ts'
import type { RegistrySession } from './registry-port.ts'
import { encodeValue, readChildren } from './registry-values.ts'

/** Each coordinator has an ephemeral node in it, by its id. Beside those of `registry-values.ts`. */
export const coordinatorsPath = '/coordinators'

export interface CoordinatorListOptions {
  readonly session: RegistrySession
  readonly clock: Clock
  readonly self: Candidate
  /** Aborted when the session is over or the coordinator stops. */
  readonly over: AbortSignal
}

/** After a try that did not do it. */
const pauseMs = 1_000

/**
 * Who is there, for people: nothing is decided by it. Puts this coordinator into the list and keeps it there; where
 * another holds its id, or its own last session does still, it waits until that is gone.
 */
export class CoordinatorList {
  readonly #options: CoordinatorListOptions
  #all: readonly Candidate[] = []
  #news = deferred()

  constructor(options: CoordinatorListOptions) {
    this.#options = options
  }

  /** As last read, by id. */
  get all(): readonly Candidate[] {
    return this.#all
  }

  /** Keeps the list until the session is over. */
  async keep(): Promise<void> {
    const { session, clock, over } = this.#options
    const wake = (): void => this.#news.resolve()
    over.addEventListener('abort', wake)
    const unwatch = session.watch(coordinatorsPath, wake)
    while (!over.aborted) {
      this.#news = deferred()
      if (await this.#isListed()) await this.#news.promise
      else await sleep(clock, pauseMs, over)
    }
    unwatch()
    over.removeEventListener('abort', wake)
  }

  /** Reads the list, and puts this one into it. @returns whether there is nothing to do until it changes */
  async #isListed(): Promise<boolean> {
    const { session, self } = this.#options
    try {
      const found = await readChildren(session, coordinatorsPath, candidateValue)
      this.#all = found.map(({ value }) => value).sort((a, b) => a.id - b.id)
      if (this.#all.some(({ id }) => id === self.id)) return true
      const node = { path: `${coordinatorsPath}/${self.id}`, value: encodeValue(self) }
      await session.commit([{ kind: 'create', path: coordinatorsPath, value: new Uint8Array(0) }])
      const { kind } = await session.commit([{ kind: 'create', ...node, ephemeral: true }])
      // The node itself is the news that it is there.
      return kind === 'applied'
    } catch (error) {
      if (isMqError(error)) return false
      throw error
    }
  }
}
