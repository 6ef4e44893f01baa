import { crc32 } from '@popmq/kit/checksum'
import { deadChange, deadGroups, type DeadLetter, deadList, deadShow } from '@popmq/protocol'
import { delayChange, type DelayedMessage, delayList, delayShow } from '@popmq/protocol'
import { groupDescribe, groupId, groupLag, inflightList, inflightRelease } from '@popmq/protocol'
import { type LeasedMessage, MqError, prepareMessage, producerId } from '@popmq/protocol'
import {
  epoch,
  logPosition,
  offset,
  type RecordKind,
  RecordView,
  RecordWriter,
} from '@popmq/protocol'
import { type ReplyOf, retryChange, retryList, type WaitingRetry } from '@popmq/protocol'
import { type Route, route } from '@popmq/transport'
import type { FakePart, FaultyAnswer } from './faults.ts'

/** What waits in one replica set. */
export interface WaitingSet {
  delayed: DelayedMessage[]
  inflight: LeasedMessage[]
  retries: WaitingRetry[]
  letters: DeadLetter[]
  /** How many items a page has at most, whatever is asked for. */
  pageItems: number
  /** The requests that change something, in order. */
  readonly changes: unknown[]
}

/**
 * Plays what brokers tell of what waits, in the plainest way, and what the coordinator tells of the one group `billing`.
 * Broker n answers for set n.
 */
export class FakeWaiting implements FakePart {
  readonly sets = new Map<number, WaitingSet>()
  lag: ReplyOf<typeof groupLag> = { at: 0, partitions: [], unknown: [], topics: [], delayed: [] }
  described: Pick<ReplyOf<typeof groupDescribe>, 'progress'> & {
    topics: ReplyOf<typeof groupDescribe>['group']['topics']
  } = { progress: [], topics: [] }

  set(id: number): WaitingSet {
    let set = this.sets.get(id)
    if (set === undefined) {
      const nothing = { delayed: [], inflight: [], retries: [], letters: [] }
      this.sets.set(id, (set = { ...nothing, pageItems: 2, changes: [] }))
    }
    return set
  }

  routes(address: string, faulty: FaultyAnswer): Route[] {
    if (address.startsWith('coordinator')) return this.#ofCoordinator(faulty)
    const set = this.set(Number(address.split(':')[1]))
    return [...delays(set, faulty), ...waiting(set, faulty), ...letters(set, faulty)]
  }

  #ofCoordinator(faulty: FaultyAnswer): Route[] {
    return [
      route(
        groupDescribe,
        faulty('group_describe', ({ group: name }) => {
          if (name !== 'billing') throw new MqError('group_not_found', `no group ${name}`)
          const { topics, progress } = this.described
          const group = { name, groupId: groupId(7), state: 'empty' as const, members: 0, topics }
          return { reply: { group, policy, members: [], progress } }
        }),
      ),
      route(
        groupLag,
        faulty('group_lag', () => ({ reply: this.lag })),
      ),
    ]
  }
}

const policy = {
  assignor: 'sticky',
  sessionMs: 6_000,
  maxAttempts: 16,
  backoff: 'exp:1s..10m',
  invisibleMs: 30_000,
  order: 'none',
  onFailure: 'park',
  deadRetentionMs: 1,
  outageBrake: 'on',
  maxInFlight: 0,
  maxInFlightPerConsumer: 0,
} as const

function delays(set: WaitingSet, faulty: FaultyAnswer): Route[] {
  return [
    route(
      delayList,
      faulty('delay_list', ({ topicId, after = 0, limit }) => {
        const all = set.delayed.filter((each) => each.topicId === topicId)
        const rest = all.filter(({ number }) => number > after)
        const { items: messages, complete } = pageOf(rest, Math.min(limit, set.pageItems))
        return { reply: { messages, complete, total: all.length } }
      }),
    ),
    route(
      delayShow,
      faulty('delay_show', ({ number }) => {
        const message = set.delayed.find((each) => each.number === number)
        if (message === undefined) throw new MqError('message_not_found', 'it is not held')
        const bytes = recordOf({ ...message, kind: 'delayed', offset: number })
        return { reply: { message }, slices: [bytes] }
      }),
    ),
    route(
      delayChange,
      faulty('delay_change', (request): { reply: ReplyOf<typeof delayChange> } => {
        set.changes.push(request)
        const { number, deliverAt: dueAt } = request
        const found = set.delayed.find((each) => each.number === number)
        if (found === undefined) return { reply: { result: 'delivered' } }
        set.delayed = set.delayed.filter((each) => each !== found)
        if (dueAt === undefined) return { reply: { result: 'done' } }
        set.delayed.push({ ...found, dueAt })
        return { reply: { result: 'done', dueAt } }
      }),
    ),
  ]
}

function waiting(set: WaitingSet, faulty: FaultyAnswer): Route[] {
  return [
    route(
      inflightList,
      faulty('inflight_list', ({ after = 0, limit }) => {
        const rest = set.inflight.slice(after)
        const { items: messages, complete } = pageOf(rest, Math.min(limit, set.pageItems))
        return { reply: { messages, complete } }
      }),
    ),
    route(
      inflightRelease,
      faulty('inflight_release', ({ messages }) => {
        set.changes.push(messages)
        const released = messages.map(({ topicId, offset: at, number }) =>
          set.inflight.some((each) => {
            return each.topicId === topicId && each.offset === at && each.number === number
          }),
        )
        return { reply: { released } }
      }),
    ),
    route(
      retryList,
      faulty('retry_list', ({ after = 0, limit }) => {
        const rest = set.retries.filter(({ number }) => number > after)
        const { items: retries, complete } = pageOf(rest, Math.min(limit, set.pageItems))
        return { reply: { retries, complete } }
      }),
    ),
    route(
      retryChange,
      faulty('retry_change', (request) => {
        set.changes.push(request)
        const results = request.numbers.map((number) => {
          const found = set.retries.find((each) => each.number === number)
          if (found === undefined) return 'unknown' as const
          return found.state === 'leased' ? ('busy' as const) : ('done' as const)
        })
        return { reply: { results } }
      }),
    ),
  ]
}

function letters(set: WaitingSet, faulty: FaultyAnswer): Route[] {
  return [
    route(
      deadList,
      faulty('dead_list', ({ fingerprint, after = -1, limit }) => {
        const rest = set.letters.filter(({ letter }) => letter > after)
        const { items, complete } = pageOf(rest, Math.min(limit, set.pageItems))
        const found = items.filter((each) => (fingerprint ?? each.fingerprint) === each.fingerprint)
        const last = items.at(-1)?.letter
        return {
          reply: { letters: found, complete, ...(last === undefined ? {} : { next: last }) },
        }
      }),
    ),
    route(
      deadShow,
      faulty('dead_show', ({ letter: at }) => {
        const letter = set.letters.find((each) => each.letter === at)
        if (letter === undefined) throw new MqError('message_not_found', 'no such letter')
        return { reply: { letter }, slices: [recordOf({ ...letter, kind: 'dead', offset: at })] }
      }),
    ),
    route(
      deadGroups,
      faulty('dead_groups', () => {
        const groups = set.letters.map(({ fingerprint, error, state, diedAt }) => {
          const told = error === undefined ? {} : { error }
          const open = state === 'open' ? 1 : 0
          return { fingerprint, ...told, count: 1, open, firstAt: diedAt, lastAt: diedAt }
        })
        return { reply: { groups, complete: true } }
      }),
    ),
    route(
      deadChange,
      faulty('dead_change', (request) => {
        set.changes.push(request)
        const results = request.letters.map((at) => {
          const found = set.letters.find(({ letter }) => letter === at)
          if (found === undefined) return 'unknown' as const
          return found.state === request.to ? ('already' as const) : ('done' as const)
        })
        return { reply: { results } }
      }),
    ),
  ]
}

function pageOf<T>(rest: readonly T[], limit: number): { items: T[]; complete: boolean } {
  return { items: rest.slice(0, limit), complete: rest.length <= limit }
}

interface RecordShape {
  readonly kind: RecordKind
  readonly topicId: DelayedMessage['topicId']
  readonly partition: DelayedMessage['partition']
  readonly offset: number
}

/** A record whose value is its kind. */
function recordOf({ kind, topicId, partition, offset: at }: RecordShape): Uint8Array {
  const message = prepareMessage({ key: 'k' }, kind)
  const bytes = new Uint8Array(message.recordBytes)
  const writer = new RecordWriter(bytes)
  const run = { producerId: producerId(0), producerEpoch: 0, runCount: 1, runBase: 0 }
  const messageId = new Uint8Array(16)
  writer.message(0, message, { topicId, partition, kind, messageId, ...run })
  writer.seal(0, crc32)
  new RecordView(bytes).patch({
    position: logPosition(0),
    syncedPosition: logPosition(0),
    offset: offset(at),
    appendedAt: 5,
    marks: 0,
    leaderEpoch: epoch(1),
  })
  return bytes
}
