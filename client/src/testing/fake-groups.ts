import type { Clock } from '@popmq/kit'
import {
  commit,
  groupJoin,
  groupLeave,
  groupRelease,
  groupSession,
  groupStart,
} from '@popmq/protocol'
import { MqError, type TopicInfo } from '@popmq/protocol'
import { type Handler, type Route, route } from '@popmq/transport'
import { FakeGroup } from './fake-group.ts'

/** Wraps a handler with the faults of a test. */
export type Faulty = <Q, R>(
  name: string,
  carryOut: (request: Q) => Promise<{ reply: R }> | { reply: R },
) => Handler<Q, R>

/** The coordinator's part of the protocol of groups. */
export class FakeGroups {
  readonly #clock: Clock
  readonly #topics: ReadonlyMap<string, TopicInfo>
  readonly #groups = new Map<string, FakeGroup>()
  readonly #waiting = new Set<() => void>()
  sessionMs = 6_000

  constructor(clock: Clock, topics: ReadonlyMap<string, TopicInfo>) {
    this.#clock = clock
    this.#topics = topics
  }

  group(name: string): FakeGroup {
    let group = this.#groups.get(name)
    if (group === undefined) {
      group = new FakeGroup(this.#groups.size + 1, this.#topics)
      group.changed = () => {
        for (const wake of [...this.#waiting]) wake()
      }
      this.#groups.set(name, group)
    }
    return group
  }

  routes(faulty: Faulty): Route[] {
    const { sessionMs } = this
    return [
      route(
        groupJoin,
        faulty('group_join', (request) => {
          return { reply: { ...this.group(request.group).join(request), sessionMs } }
        }),
      ),
      route(
        groupStart,
        faulty('group_start', ({ groupId: id, topicId, offsets }) => {
          this.#byId(id).start(topicId, offsets)
          return { reply: {} }
        }),
      ),
      route(
        groupSession,
        faulty('group_session', async (request) => ({ reply: await this.#session(request) })),
      ),
      route(
        groupRelease,
        faulty('group_release', ({ groupId: id, memberId, released }) => {
          this.#byId(id).release(memberId, released)
          return { reply: {} }
        }),
      ),
      route(
        groupLeave,
        faulty('group_leave', ({ groupId: id, memberId }) => {
          this.#byId(id).leave(memberId)
          return { reply: {} }
        }),
      ),
      route(
        commit,
        faulty('commit', (request) => ({ reply: this.#byId(request.groupId).commit(request) })),
      ),
    ]
  }

  async #session(request: { groupId: number; memberId: string; version: number; waitMs: number }) {
    const { groupId: id, memberId, version, waitMs } = request
    const endsAt = this.#clock.monotonic() + Math.min(waitMs, this.sessionMs / 3)
    for (;;) {
      const told = this.#byId(id).session(memberId, version)
      const leftMs = endsAt - this.#clock.monotonic()
      if (told !== undefined) return told
      if (leftMs <= 0) return { version }
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          timer.cancel()
          this.#waiting.delete(wake)
          resolve()
        }
        const timer = this.#clock.after(leftMs, wake)
        this.#waiting.add(wake)
      })
    }
  }

  #byId(id: number): FakeGroup {
    const group = [...this.#groups.values()].find((each) => each.id === id)
    if (group === undefined) throw new MqError('member_unknown', `no group ${id}`)
    return group
  }
}
