import type { Clock, Random } from '@popmq/kit'
import {
  type Checksum,
  type GroupId,
  type HandleKey,
  MqError,
  type PartitionKey,
  partitionOfKey,
  type ServedGroup,
  type TimeMs,
  type TopicId,
  topicOfKey,
} from '@popmq/protocol'
import type { ConsumeQueues } from '../consume-queue/index.ts'
import type { Topics } from '../topics.ts'
import { Alarms } from './alarms.ts'
import type { DeliveryLog } from './delivery-log.ts'
import type { Delivery } from './delivery.ts'
import { Expiring } from './expiring.ts'
import { GroupDispatch } from './group-dispatch.ts'
import { type Authenticate, LeaseTokens } from './lease-token.ts'
import type { Lease } from './lease.ts'
import { Moving } from './moving.ts'
import type { LeasePlace } from './pick.ts'
import { Popping } from './popping.ts'
import { encodeGroupGone } from './reset-record.ts'
import { Resetting } from './resetting.ts'
import { Settling } from './settling.ts'

export interface DispatchParts {
  readonly clock: Clock
  /** The time by which retries are due: never ahead of the clock's own pace. */
  readonly dueTime: { readonly nowMs: () => TimeMs }
  readonly random: Random
  readonly crc32: Checksum
  readonly authenticate: Authenticate
  readonly setId: number
  readonly delivery: Delivery
  readonly queues: ConsumeQueues
  readonly topics: Pick<Topics, 'led' | 'get' | 'ledKeys'>
  readonly log: DeliveryLog
  readonly onFailed: (error: unknown) => void
}

interface DueRetry {
  readonly groupId: GroupId
  readonly number: number
}

/** The leader's part of delivery: every group, what is handed out to it, and what happens when time is up. */
export class Dispatch {
  readonly popping: Popping
  readonly settling: Settling
  readonly moving: Moving
  readonly tokens: LeaseTokens
  readonly #parts: DispatchParts
  readonly #groups = new Map<GroupId, GroupDispatch>()
  readonly #byTopic = new Map<TopicId, GroupDispatch[]>()
  readonly #expiring: Expiring
  readonly #resetting: Resetting
  readonly #retriesDue: Alarms<DueRetry>

  constructor(parts: DispatchParts) {
    this.#parts = parts
    const { clock, random, log, queues, delivery, dueTime, topics } = parts
    this.tokens = new LeaseTokens(parts.authenticate)
    const load = (
      key: PartitionKey,
      from: Parameters<ConsumeQueues['slice']>[1],
    ): Promise<unknown> => queues.slice(key, from)
    this.moving = new Moving({
      ...parts,
      load,
      retriesHeld: () => delivery.retries.size,
      onRetry: (group, number) => this.retryAppended(group.id, number),
      onSettled: (group, place) => group.settled(place),
    })
    this.#expiring = new Expiring({
      clock,
      group: (id) => this.#groups.get(id),
      move: (move) => this.moving.move(move),
      onFailed: parts.onFailed,
    })
    const expireAt: Expiring['watch'] = (lease) => this.#expiring.watch(lease)
    const sign = (token: Parameters<LeaseTokens['sign']>[0]): Uint8Array => this.tokens.sign(token)
    this.popping = new Popping({ clock, random, log, load, sign, expireAt })
    const read = (lease: Uint8Array): ReturnType<LeaseTokens['read']> => this.tokens.read(lease)
    const whereLed = (key: PartitionKey): 'here' | 'elsewhere' | 'nowhere' => {
      if (topics.led(topicOfKey(key), partitionOfKey(key)) !== undefined) return 'here'
      return topics.get(topicOfKey(key)) === undefined ? 'nowhere' : 'elsewhere'
    }
    this.settling = new Settling({ clock, log, read, whereLed, moving: this.moving, expireAt })
    this.#resetting = new Resetting({
      log,
      isLed: (key) => whereLed(key) === 'here',
      view: (group, key) => delivery.find(group, key),
      bounds: (key) => queues.bounds(key),
      slice: (key, from) => queues.slice(key, from),
    })
    this.#retriesDue = new Alarms({
      clock,
      nowMs: () => dueTime.nowMs(),
      ring: ({ groupId, number }) => this.#groups.get(groupId)?.retryDue(number, dueTime.nowMs()),
      isLive: ({ number }) => delivery.retries.get(number) !== undefined,
    })
  }

  /** @throws MqError `group_not_found` */
  group(id: GroupId): GroupDispatch {
    const group = this.#groups.get(id)
    if (group === undefined)
      throw new MqError('group_not_found', `group ${id} is not known to this broker`)
    return group
  }

  /** By this time retries are due: the clock's, without its jumps. */
  dueNow(): TimeMs {
    return this.#parts.dueTime.nowMs()
  }

  /** Handles are made and read with these, newest first. */
  useKeys(keys: readonly HandleKey[]): void {
    this.tokens.use(keys)
  }

  /**
   * Takes the coordinator's list of groups, and carries out the resets in it.
   * @throws MqError when the log takes nothing now: to be called again
   */
  async update(groups: readonly ServedGroup[]): Promise<void> {
    const known = new Set(groups.map(({ groupId }) => groupId))
    for (const group of groups) this.#takeIn(group)
    for (const [id, group] of this.#groups) {
      if (known.has(id)) continue
      this.#groups.delete(id)
      group.waiters.wakeAll()
    }
    this.topicsChanged()
    this.#forgetGroups(known)
    for (const { groupId, topics } of groups) {
      for (const topic of topics) {
        if (topic.mode !== 'broadcast') await this.#resetting.carryOut(this.group(groupId), topic)
      }
    }
  }

  /** Topics came, went, grew, or a group reads others. */
  topicsChanged(): void {
    const { topics } = this.#parts
    this.#byTopic.clear()
    for (const group of this.#groups.values()) {
      const sets = new Set<number>()
      for (const { topicId } of group.group.topics) {
        const info = topics.get(topicId)
        if (info === undefined) continue
        group.keepTopic(topicId)
        for (const set of info.sets) sets.add(set)
        if (group.topic(topicId)?.mode !== 'pop') continue
        this.#byTopic.set(topicId, [...(this.#byTopic.get(topicId) ?? []), group])
        for (const key of topics.ledKeys(info)) group.ready(key)
      }
      for (const id of group.topicsInHand()) if (topics.get(id) === undefined) group.dropTopic(id)
      group.sets = Math.max(1, sets.size)
      // What was paused may go on.
      group.passOn()
    }
  }

  /** Messages became visible in these partitions. */
  visible(keys: Iterable<PartitionKey>): void {
    for (const key of keys) {
      for (const group of this.#byTopic.get(topicOfKey(key)) ?? []) group.ready(key)
    }
  }

  /** A retry is in the log, or due at another time. */
  retryAppended(groupId: GroupId, number: number): void {
    const retry = this.#parts.delivery.retries.get(number)
    if (retry === undefined) return
    this.#groups.get(groupId)?.retries.notDue(number)
    this.#retriesDue.set(retry.dueAt, { groupId, number })
  }

  /** Lets go of every held pop. */
  wakeAll(): void {
    for (const { waiters } of this.#groups.values()) waiters.wakeAll()
  }

  /** Nothing is handed out any more: who waits is told. */
  close(): void {
    this.#expiring.close()
    this.#retriesDue.close()
    this.wakeAll()
  }

  /** Figures for metrics. */
  stats(): Readonly<Record<string, number>> {
    let leased = 0
    let waitingPops = 0
    for (const { inFlight, waiters } of this.#groups.values()) {
      leased += inFlight.total
      waitingPops += waiters.size
    }
    return {
      leased,
      waitingPops,
      retries: this.#parts.delivery.retries.size,
      leaseAlarms: this.#expiring.size,
    }
  }

  #takeIn(served: ServedGroup): void {
    const there = this.#groups.get(served.groupId)
    if (there !== undefined) return there.update(served)
    const group = new GroupDispatch(served, this.#parts)
    this.#groups.set(group.id, group)
    this.#honour(group)
  }

  /** What was handed out before this leader began is honoured; what waits will be due. */
  #honour(group: GroupDispatch): void {
    const { delivery } = this.#parts
    for (const { groupId, key, open } of delivery.partitions()) {
      if (groupId !== group.id || open.size === 0) continue
      this.#watch(group, group.partition(key), open)
    }
    for (const retry of delivery.retries.of(group.id)) {
      const place = group.retries.placeOf(retry)
      if (retry.lease !== undefined)
        this.#watch(group, place, new Map([[retry.number, retry.lease]]))
      this.#retriesDue.set(retry.dueAt, { groupId: group.id, number: retry.number })
    }
  }

  #watch(group: GroupDispatch, place: LeasePlace, open: ReadonlyMap<number, Lease>): void {
    const byLease = new Map<Lease, number[]>()
    for (const [number, lease] of open) {
      if (lease.nonce === 0) continue
      const numbers = byLease.get(lease)
      if (numbers === undefined) byLease.set(lease, [number])
      else numbers.push(number)
    }
    for (const [lease, numbers] of byLease)
      this.#expiring.honour({ groupId: group.id, place, numbers, lease })
  }

  /** Groups that are gone leave nothing behind. */
  #forgetGroups(known: ReadonlySet<GroupId>): void {
    const { delivery, log } = this.#parts
    for (const groupId of delivery.groups()) {
      if (known.has(groupId)) continue
      log.appendControl({ kind: 'group_gone', body: encodeGroupGone(groupId) })
    }
  }
}
