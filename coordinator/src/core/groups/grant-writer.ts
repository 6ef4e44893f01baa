import { assert, type Deferred, deferred } from '@popmq/kit'
import { MqError } from '@popmq/protocol'
import type { Leadership } from '../leadership.ts'
import type { Group } from './group.ts'
import { applyGrants, type GrantsChange, prepareGrants } from './group-grants.ts'

/** Of one commit: groups, and what values and paths may take, the counters aside. */
const mostGroups = 20
const mostBytes = 240 * 1_024

/** Writes what groups grant. Those that come while a write is under way share the next one. */
export class GrantWriter {
  readonly #leadership: Pick<Leadership, 'write'>
  readonly #waiting = new Map<Group, Deferred<void>>()
  #isWriting = false

  constructor(leadership: Pick<Leadership, 'write'>) {
    this.#leadership = leadership
  }

  /** Resolves when a commit with as much of the group as fitted has been made and told. @throws MqError as `Leadership.write` */
  write(group: Group): Promise<void> {
    assert(!this.#waiting.has(group), 'a group waits for one write at a time')
    const done = deferred()
    this.#waiting.set(group, done)
    if (!this.#isWriting) {
      this.#isWriting = true
      void this.#writes()
    }
    return done.promise
  }

  async #writes(): Promise<void> {
    while (this.#waiting.size > 0) await this.#write()
    this.#isWriting = false
  }

  async #write(): Promise<void> {
    let taken: Taken[] = []
    try {
      await this.#leadership.write(
        () => {
          taken = this.#take()
          return { ops: taken.flatMap(({ change }) => change.ops) }
        },
        () => {
          for (const { group, change } of taken) applyGrants(group, change)
        },
      )
      for (const { done } of taken) done.resolve()
    } catch (error) {
      if (!(error instanceof MqError)) throw error
      // Refused before anything was taken: so it is for all that wait.
      const refused = taken.length > 0 ? taken.map(({ done }) => done) : [...this.#waiting.values()]
      if (taken.length === 0) this.#waiting.clear()
      for (const done of refused) done.reject(error)
    }
  }

  /** As many groups as fit, those that wait longest first. */
  #take(): Taken[] {
    const taken: Taken[] = []
    let roomBytes = mostBytes
    for (const [group, done] of this.#waiting) {
      const change = prepareGrants(group, roomBytes)
      if (change === undefined) break
      this.#waiting.delete(group)
      taken.push({ group, change, done })
      roomBytes = change.roomBytes
      if (taken.length === mostGroups) break
    }
    assert(taken.length > 0, 'the members of a group fit into one commit: joins are refused before')
    return taken
  }
}

interface Taken {
  readonly group: Group
  readonly change: GrantsChange
  readonly done: Deferred<void>
}
