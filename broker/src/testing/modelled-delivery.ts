import assert from 'node:assert/strict'
import { present } from '@popmq/kit'
import type { CrashMode } from '@popmq/kit/testing'
import {
  type GroupId,
  groupId,
  inflightRelease,
  offset,
  partitionNumber,
  purge,
  readU48,
  retryChange,
  type ServedGroup,
  topicId,
} from '@popmq/protocol'
import { DeliveryWorld, type Held, servedGroup } from './delivery-world.ts'
import { checkCounts, checkPlaces, placeOf, retryOf, withReset } from './delivery-checks.ts'
import {
  PlainGroup,
  type PlainHandle,
  type PlainLease,
  type PlainMessage,
} from './plain-delivery.ts'
import { extendedMs, flipped, newMessage, settleAll, type SettleStep } from './plain-settling.ts'

const topic = topicId(1)
const tags = [undefined, 'red']

/** A broker with two groups that pop the same topic, beside its plain model. One request at a time. */
export class ModelledDelivery {
  readonly world = new DeliveryWorld()
  groups: PlainGroup[] = tags.map((tag, index) => new PlainGroup(7 + index, tag))
  readonly bounds = [
    { low: 0, high: 0 },
    { low: 0, high: 0 },
  ]
  /** A reset went back over messages that were passed by: what of them was acknowledged is not told exactly. */
  readonly fuzzy = new Set<string>()
  /** What a crash may leave: the states since the last that is durable, the newest last. */
  #earlier: PlainGroup[][] = []
  #handles: PlainHandle[] = []
  #resets: ServedGroup[]

  constructor() {
    this.#resets = tags.map((tag, index) =>
      servedGroup({
        groupId: groupId(7 + index),
        deadTopicId: topicId(1_000 + index),
        topic: tag === undefined ? {} : { tags: [tag] },
      }),
    )
  }

  get nowMs(): number {
    return this.world.clock.now()
  }

  async start(): Promise<void> {
    await this.world.start(this.#resets)
  }

  async send({
    partition,
    count,
    isRed,
  }: {
    partition: number
    count: number
    isRed: boolean
  }): Promise<void> {
    const bounds = present(this.bounds[partition], 'there are two')
    const tag = isRed ? 'red' : 'blue'
    const offsets = Array.from({ length: count }, (_, index) => bounds.high + index)
    const values = offsets.map((at) => `${partition}:${at}`)
    await this.world.send(values, { partition, tag })
    this.#durable()
    bounds.high += count
    for (const group of this.groups)
      for (const at of offsets) group.messages.push(newMessage(partition, at, tag))
  }

  async pop(step: {
    group: number
    consumer: number
    max: number
    invisibleMs: number
  }): Promise<number> {
    const { max, invisibleMs } = step
    const group = this.#group(step.group)
    const consumer = `c${step.consumer}`
    const held = await this.world.pop({ groupId: groupId(group.id), max, invisibleMs, consumer })
    if (held.length > 0) this.#patient()
    const until = this.nowMs + invisibleMs
    assert.ok(held.length <= max)
    for (const each of held)
      this.#take(group, each, { at: this.nowMs, until, endsAt: until, consumer })
    const left = group.messages.filter((each) => group.isAvailable(each, this.nowMs))
    if (held.length < max) assert.deepEqual(left, [], 'what is there is handed out')
    // First deliveries of a partition are in its order.
    for (const { isRetry, attempt, partition, number, value } of held) {
      if (isRetry || attempt > 1) continue
      const isBefore = (each: PlainMessage): boolean =>
        each.place === 'fresh' && each.partition === partition && each.offset < number
      assert.ok(!left.some(isBefore), `${value} was handed out before its turn`)
    }
    return held.length
  }

  #take(group: PlainGroup, held: Held, head: Omit<PlainLease, 'nonce' | 'isFree'>): void {
    const [partition, at] = held.value.split(':').map(Number)
    const message = group.find(partition ?? -1, at ?? -1)
    assert.ok(
      group.isAvailable(message, this.nowMs),
      `${held.value} is ${JSON.stringify(message)} at ${this.nowMs}`,
    )
    assert.equal(held.attempt, message.attempt + 1, held.value)
    assert.equal(held.isRetry, message.place === 'retry')
    assert.equal(held.offset, at)
    assert.equal(held.partition, partition)
    if (message.place !== 'retry') assert.equal(held.number, at)
    const nonce = readU48(new DataView(held.lease.buffer, held.lease.byteOffset), 16)
    group.grant(message, held.number, { nonce, ...head, isFree: false })
    this.#handles.push({
      group: group.id,
      partition: message.partition,
      offset: message.offset,
      number: held.number,
      generation: group.generations[message.partition] ?? 0,
      nonce,
      lease: held.lease,
    })
  }

  async settle(step: SettleStep): Promise<void> {
    const { verb, picks, delayMs, retriable, isForged } = step
    const group = this.#group(step.group)
    const handles = picks.flatMap((pick) => this.#handles.at(-1 - pick) ?? [])
    if (handles.length === 0) return
    const sent = handles.map(({ lease, number }) => {
      return { lease: isForged ? flipped(lease) : lease, number }
    })
    const copy = this.#copy()
    const results = await this.world.settle(sent, {
      groupId: groupId(group.id),
      verb,
      ...(verb === 'nack' ? { retriable, ...(delayMs === undefined ? {} : { delayMs }) } : {}),
      ...(verb === 'extend' ? { invisibleMs: extendedMs } : {}),
    })
    const { judged, expected } = settleAll(group, handles, { ...step, nowMs: this.nowMs })
    assert.deepEqual(results, expected)
    if (!judged.includes('current')) return
    if (verb === 'ack' || verb === 'nack') this.#durable()
    else this.#earlier.push(copy)
  }

  async pass(durationMs: number): Promise<void> {
    await this.world.clock.run(durationMs)
    this.#advance()
  }

  async reset({
    group: index,
    partition,
    share,
  }: {
    group: number
    partition: number
    share: number
  }): Promise<void> {
    const group = this.#group(index)
    const { low, high } = present(this.bounds[partition], 'there are two')
    const to = Math.floor((high + 2) * share)
    const generation = (group.generations[partition] ?? 0) + 1
    const clamped = Math.min(Math.max(to, low), high)
    const own = group.messages.filter((each) => each.partition === partition)
    if (own.some(({ place, offset: at }) => place === 'skipped' && at >= clamped))
      this.fuzzy.add(`${group.id}.${partition}`)
    this.#resets = this.#resets.map((served) => {
      if (served.groupId !== group.id) return served
      return withReset(served, { partition, to, generation })
    })
    await this.world.world.push({ groups: this.#resets })
    this.#advance()
    this.#durable()
    group.reset(partition, clamped, generation)
  }

  async purge({ partition, share }: { partition: number; share: number }): Promise<void> {
    const bounds = present(this.bounds[partition], 'there are two')
    const before = offset(Math.floor(bounds.high * share))
    if (before <= bounds.low) return
    await this.world.world.ask(purge, {
      topicId: topic,
      partition: partitionNumber(partition),
      before,
    })
    this.#durable()
    bounds.low = before
    for (const group of this.groups) group.purge(partition, before)
  }

  /** An operator: a retry at once, or given up. */
  async changeRetry(step: { group: number; pick: number; to: 'now' | 'dead' }): Promise<void> {
    const group = this.#group(step.group)
    const waiting = group.messages.filter(({ place }) => place === 'retry')
    const message = waiting[step.pick % Math.max(1, waiting.length)]
    if (message === undefined) return
    const number = retryOf(this.world, group, message).number
    const request = { groupId: groupId(group.id), numbers: [number], to: step.to }
    const { reply } = await this.world.world.ask(retryChange, request)
    const isBusy = group.isHeld(message)
    assert.deepEqual(reply.results, [isBusy ? 'busy' : 'done'])
    if (isBusy) return
    this.#durable()
    if (step.to === 'now') message.dueAt = Math.min(message.dueAt, this.nowMs)
    else Object.assign(message, { place: 'dead', lease: undefined })
    // Its alarm rings at this very moment.
    await this.world.clock.run(0)
  }

  async takeBack(step: { group: number; pick: number }): Promise<void> {
    const group = this.#group(step.group)
    const open = group.messages.filter(({ place }) => place === 'open' || place === 'retry')
    const message = open[step.pick % Math.max(1, open.length)]
    if (message === undefined) return
    const messages = [placeOf(this.world, group, message)]
    const request = { groupId: groupId(group.id), messages }
    const { reply } = await this.world.world.ask(inflightRelease, request)
    assert.deepEqual(reply.released, [group.isHeld(message)])
    if (!group.isHeld(message)) return
    this.#patient()
    group.takeBack(message)
  }

  /** Another process on the same disk, after a crash or a stop in good order. */
  async restart(crash?: CrashMode): Promise<void> {
    await this.world.world.restart(crash)
    await this.world.clock.run(0)
    if (crash === undefined) this.#earlier = []
    const found = [this.groups, ...this.#earlier.toReversed()].find((groups) => {
      for (const group of groups) group.restart(this.nowMs)
      return groups.every((group) => checkPlaces(this.world, group).length === 0)
    })
    const isWrong = this.groups.flatMap((group) => checkPlaces(this.world, group))
    assert.ok(found !== undefined, `after a crash: ${isWrong.join('; ')}`)
    this.groups = found
    this.#earlier = []
    this.#learnNumbers()
  }

  /** Everything that is known is compared. Says what nobody waits for is on disk. */
  async check(): Promise<void> {
    for (const group of this.groups) {
      const { delivering } = this.world.set
      const { partitions } = await this.world.world.during(delivering.report(group.id as GroupId))
      assert.deepEqual(checkPlaces(this.world, group), [])
      for (const state of partitions.slice(0, 2)) {
        const isFuzzy = this.fuzzy.has(`${group.id}.${state.partition}`)
        checkCounts(group, state, { isFuzzy })
      }
      const dispatch = delivering.dispatch.group(group.id as GroupId)
      const isHeld = (each: PlainMessage): boolean => group.isHeld(each)
      assert.equal(dispatch.inFlight.total, group.messages.filter(isHeld).length, 'in flight')
    }
    this.#earlier = []
  }

  #group(index: number): PlainGroup {
    this.#advance()
    return present(this.groups[index], 'there are two')
  }

  #advance(): void {
    for (const group of this.groups) if (group.expire(this.nowMs)) this.#durable()
  }

  /** Something is appended that nobody waits for. */
  #patient(): void {
    this.#earlier.push(this.#copy())
  }

  #durable(): void {
    this.#earlier = []
  }

  #copy(): PlainGroup[] {
    return this.groups.map((group) => group.copy())
  }

  /** What waits is due when it was; the numbers of copies come from the broker. */
  #learnNumbers(): void {
    for (const group of this.groups)
      for (const message of group.messages)
        if (message.place === 'retry') {
          const { dueAt, number } = retryOf(this.world, group, message)
          assert.equal(dueAt, message.dueAt)
          message.number = number
        }
  }
}
