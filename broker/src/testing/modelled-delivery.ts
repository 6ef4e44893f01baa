import assert from 'node:assert/strict'
import { present } from '@popmq/kit'
import type { CrashMode } from '@popmq/kit/testing'
import {
  type GroupId,
  groupId,
  inflightRelease,
  offset,
  partitionKey,
  partitionNumber,
  purge,
  readU48,
  retryChange,
  type ServedGroup,
  type SettleResult,
  type SettleVerb,
  topicId,
} from '@popmq/protocol'
import { DeliveryWorld, type Held, servedGroup } from './delivery-world.ts'
import { checkCounts, checkPlaces } from './delivery-checks.ts'
import { PlainGroup, type PlainHandle, type PlainMessage } from './plain-delivery.ts'

export interface SettleStep {
  readonly group: number
  readonly verb: SettleVerb
  /** Handles, counted from the newest. */
  readonly picks: readonly number[]
  readonly delayMs: number | undefined
  readonly retriable: boolean
  readonly isForged: boolean
}

const topic = topicId(1)
const tags = [undefined, 'red']
const keyOf = (partition: number): ReturnType<typeof partitionKey> =>
  partitionKey(topic, partitionNumber(partition))

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

  async send({ partition, count, isRed }: { partition: number; count: number; isRed: boolean }): Promise<void> {
    const bounds = present(this.bounds[partition], 'there are two')
    const tag = isRed ? 'red' : 'blue'
    const offsets = Array.from({ length: count }, (_, index) => bounds.high + index)
    await this.world.send(offsets.map((at) => `${partition}:${at}`), { partition, tag })
    this.#durable()
    bounds.high += count
    for (const group of this.groups)
      for (const at of offsets) group.messages.push(newMessage(partition, at, tag))
  }

  async pop(step: { group: number; consumer: number; max: number; invisibleMs: number }): Promise<void> {
    const { max, invisibleMs } = step
    const group = this.#group(step.group)
    const consumer = `c${step.consumer}`
    const held = await this.world.pop({ groupId: groupId(group.id), max, invisibleMs, consumer })
    if (held.length > 0) this.#patient()
    const until = this.nowMs + invisibleMs
    assert.ok(held.length <= max)
    for (const each of held) this.#take(group, each, { until, consumer })
    const left = group.messages.filter((each) => group.isAvailable(each, this.nowMs))
    if (held.length < max) assert.deepEqual(left, [], 'what is there is handed out')
    for (const { value } of held) {
      const [partition, at] = value.split(':').map(Number)
      const passed = left.find(
        (each) => each.place === 'fresh' && each.partition === partition && each.offset < (at ?? 0),
      )
      const isFirst = held.find((each) => each.value === value)?.attempt === 1
      if (isFirst && passed !== undefined && group.find(passed.partition, at ?? 0).number === at)
        assert.fail(`${value} was handed out before ${passed.value}`)
    }
  }

  #take(group: PlainGroup, held: Held, head: { until: number; consumer: string }): void {
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

  async settle({ verb, picks, delayMs, retriable, isForged, ...step }: SettleStep): Promise<void> {
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
      ...(verb === 'extend' ? { invisibleMs: 3_000 } : {}),
    })
    const seen = new Set<PlainMessage | string>()
    const judged = handles.map((handle): SettleResult | 'current' => {
      if (isForged) return 'unknown'
      if (handle.group !== group.id) return 'foreign'
      const name = `${handle.partition}:${handle.number}`
      if (seen.has(name)) return 'already'
      seen.add(name)
      return group.judge(handle)
    })
    const expected = handles.map(({ partition, offset: at }, index): SettleResult => {
      const verdict = judged[index] ?? 'unknown'
      if (verdict !== 'current') return verdict
      const message = group.find(partition, at)
      if (verb === 'ack') return group.ack(message)
      if (verb === 'nack') return group.nack(message, { delayMs, retriable, nowMs: this.nowMs })
      return verb === 'release'
        ? group.release(message)
        : group.extend(message, this.nowMs + 3_000)
    })
    assert.deepEqual(results, expected)
    if (!judged.includes('current')) return
    if (verb === 'ack' || verb === 'nack') this.#durable()
    else this.#earlier.push(copy)
  }

  async pass(durationMs: number): Promise<void> {
    await this.world.clock.run(durationMs)
    this.#advance()
  }

  async reset({ group: index, partition, share }: { group: number; partition: number; share: number }): Promise<void> {
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
      const [there] = served.topics
      assert.ok(there !== undefined)
      const others = there.reset?.offsets.filter((each) => each.partition !== partition) ?? []
      const asked = { partition: partitionNumber(partition), offset: offset(to), generation }
      const reset = { generation: (there.reset?.generation ?? 0) + 1, offsets: [...others, asked] }
      return { ...served, topics: [{ ...there, reset }] }
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
    await this.world.world.ask(purge, { topicId: topic, partition: partitionNumber(partition), before })
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
    const number = this.#retryOf(group, message).number
    const request = { groupId: groupId(group.id), numbers: [number], to: step.to }
    const { reply } = await this.world.world.ask(retryChange, request)
    const isBusy = group.isHeld(message)
    assert.deepEqual(reply.results, [isBusy ? 'busy' : 'done'])
    if (isBusy) return
    this.#durable()
    if (step.to === 'now') message.dueAt = this.nowMs
    else Object.assign(message, { place: 'dead', lease: undefined })
    // Its alarm rings at this very moment.
    await this.world.clock.run(0)
  }

  async takeBack(step: { group: number; pick: number }): Promise<void> {
    const group = this.#group(step.group)
    const open = group.messages.filter(({ place }) => place === 'open' || place === 'retry')
    const message = open[step.pick % Math.max(1, open.length)]
    if (message === undefined) return
    const place = {
      topicId: topic,
      partition: partitionNumber(message.partition),
      offset: offset(message.offset),
      ...(message.place === 'retry' ? { number: this.#retryOf(group, message).number } : {}),
    }
    const request = { groupId: groupId(group.id), messages: [place] }
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
      for (const group of groups) group.expire(this.nowMs)
      return groups.every((group) => checkPlaces(this.world, group).length === 0)
    })
    const isWrong = this.groups.flatMap((group) => checkPlaces(this.world, group))
    assert.ok(found !== undefined, `after a crash: ${isWrong.join('; ')}`)
    this.groups = found
    this.#earlier = []
    this.#learnDue()
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

  /** Takes all there is and acknowledges it, until nothing is left: each message ends in one way. */
  async drain(): Promise<void> {
    for (const [index, group] of this.groups.entries()) {
      for (let round = 0; ; round += 1) {
        assert.ok(round < 60, 'it comes to an end')
        const isLeft = ({ place, ...each }: PlainMessage): boolean =>
          place === 'open' || place === 'retry' || (place === 'fresh' && group.isWanted({ place, ...each }))
        if (!group.messages.some(isLeft)) break
        const from = this.#handles.length
        await this.pop({ group: index, consumer: 9, max: 100, invisibleMs: 30_000 })
        const picks = Array.from({ length: this.#handles.length - from }, (_, pick) => pick)
        const base = { group: index, picks, delayMs: undefined, retriable: true, isForged: false }
        await this.settle({ ...base, verb: 'ack' })
        await this.pass(2_000)
      }
    }
    await this.check()
    for (const group of this.groups)
      for (const message of group.messages)
        assert.ok(!group.isWanted(message) || !['fresh', 'open', 'retry'].includes(message.place))
  }

  keyOf(partition: number): ReturnType<typeof partitionKey> {
    return keyOf(partition)
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

  #retryOf(group: PlainGroup, message: PlainMessage): { readonly number: number; readonly dueAt: number } {
    const { retries } = this.world.set.viewSet.delivery
    const found = [...retries.of(group.id as GroupId)].find(
      (retry) => retry.key === keyOf(message.partition) && retry.offset === message.offset,
    )
    return present(found, `${message.value} is retried`)
  }

  /** Leases that ended while no broker was there ended when the next one began. */
  #learnDue(): void {
    for (const group of this.groups)
      for (const message of group.messages)
        if (message.place === 'retry') {
          const { dueAt, number } = this.#retryOf(group, message)
          assert.ok(dueAt >= message.dueAt && dueAt <= this.nowMs + 60_000)
          Object.assign(message, { dueAt, number })
        }
  }
}

function newMessage(partition: number, at: number, tag: string): PlainMessage {
  const value = `${partition}:${at}`
  const counts = { number: at, attempt: 0, expiries: 0, lease: undefined, dueAt: 0 }
  return { value, partition, offset: at, tag, place: 'fresh', ...counts }
}

function flipped(lease: Uint8Array): Uint8Array {
  const copy = lease.slice()
  copy[20] = (copy[20] ?? 0) ^ 1
  return copy
}
