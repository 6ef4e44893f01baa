import type { Clock } from '@popmq/kit'
import { type groupOpen, groupId, MqError, pop, popHint, type RequestOf } from '@popmq/protocol'
import { settle, type TopicInfo } from '@popmq/protocol'
import { groupOpen as open } from '@popmq/protocol'
import { type Route, route } from '@popmq/transport'
import type { FaultyAnswer } from './faults.ts'
import type { FakeLog } from './fake-log.ts'
import { FakePopGroup } from './fake-pop-group.ts'

export interface FakePopsDeps {
  readonly clock: Clock
  readonly topics: ReadonlyMap<string, TopicInfo>
  readonly log: (topicId: number, partition: number) => FakeLog
  readonly leads: (topicId: number, partition: number, broker: number) => boolean
  /** Held requests of all brokers: woken by each change. */
  readonly waiting: Set<() => void>
}

/** What the servers answer to those who pop. */
export class FakePops {
  readonly #deps: FakePopsDeps
  readonly #groups = new Map<string, FakePopGroup>()
  #nextGroupId = 1_000
  /** Requests that were carried out, in order. */
  readonly pops: RequestOf<typeof pop>[] = []
  readonly settles: RequestOf<typeof settle>[] = []
  readonly opens: RequestOf<typeof groupOpen>[] = []

  constructor(deps: FakePopsDeps) {
    this.#deps = deps
  }

  group(name: string): FakePopGroup {
    let group = this.#groups.get(name)
    if (group === undefined) {
      group = new FakePopGroup(this.#nextGroupId, this.#deps)
      this.#nextGroupId += 1
      this.#groups.set(name, group)
    }
    return group
  }

  /** Deletes a group; opened again it is another one. */
  delete(name: string): void {
    this.#groups.delete(name)
    this.wake()
  }

  wake(): void {
    for (const wake of [...this.#deps.waiting]) wake()
  }

  coordinatorRoutes(faulty: FaultyAnswer): Route[] {
    return [
      route(
        open,
        faulty('group_open', (request) => ({ reply: this.#open(request) })),
      ),
    ]
  }

  brokerRoutes(broker: number, faulty: FaultyAnswer): Route[] {
    return [
      route(
        pop,
        faulty('pop', (request) => this.#pop(request, broker)),
      ),
      route(
        settle,
        faulty('settle', (request) => {
          this.settles.push(request)
          const reply = this.#byId(request.groupId).settle(request, broker)
          this.wake()
          return { reply }
        }),
      ),
      route(
        popHint,
        faulty('pop_hint', async ({ groupId: id, topics, waitMs }) => {
          const isReady = await this.#until(waitMs, () => this.#byId(id).isReady(topics, broker))
          return { reply: { isReady } }
        }),
      ),
    ]
  }

  #open(request: RequestOf<typeof groupOpen>) {
    this.opens.push(request)
    const group = this.group(request.group)
    const topics = request.topics.map((name) => {
      const info = this.#deps.topics.get(name)
      if (info === undefined) throw new MqError('topic_not_found', `no topic ${name}`)
      const starts = request.starts?.find(({ topicId }) => topicId === info.id)
      return { name, topicId: info.id, isNew: group.start(info.id, starts?.offsets ?? []) }
    })
    return { groupId: groupId(group.id), invisibleMs: group.invisibleMs, topics }
  }

  async #pop(request: RequestOf<typeof pop>, broker: number) {
    this.pops.push(request)
    const { groupId: id, topics, waitMs } = request
    await this.#until(waitMs, () => this.#byId(id).isReady(topics, broker))
    return this.#byId(id).pop(request, broker)
  }

  async #until(waitMs: number, holds: () => boolean): Promise<boolean> {
    const { clock, waiting } = this.#deps
    const endsAt = clock.monotonic() + waitMs
    for (;;) {
      const leftMs = endsAt - clock.monotonic()
      if (holds() || leftMs <= 0) return holds()
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          timer.cancel()
          waiting.delete(wake)
          resolve()
        }
        const timer = clock.after(Math.min(leftMs, this.#nextDueMs()), wake)
        waiting.add(wake)
      })
    }
  }

  /** Leases end and retries come due unsaid: how long until the next does. */
  #nextDueMs(): number {
    const now = this.#deps.clock.now()
    const dueAt = [...this.#groups.values()].map((group) => group.nextDueAt(now))
    return Math.max(1, Math.min(...dueAt) - now)
  }

  #byId(id: number): FakePopGroup {
    const group = [...this.#groups.values()].find((each) => each.id === id)
    if (group === undefined) throw new MqError('group_not_found', `no group ${id}`)
    return group
  }
}
