import {
  decodeHistory,
  type Failure,
  type GroupId,
  type GroupPolicy,
  type PartitionState,
  type PoppedRun,
  pop,
  produce,
  RecordView,
  readSections,
  recordKinds,
  type RequestOf,
  type ServedGroup,
  type ServedTopic,
  settle,
  type SettleResult,
  sourceOf,
  topicId,
  type TopicInfo,
} from '@popmq/protocol'
import { sampleRun } from '../core/testing/sample-run.ts'
import { sampleTopic } from '../core/testing/sample-set.ts'
import { BrokerWorld } from './broker-world.ts'

/** A message that was handed out, and what settles it. */
export interface Held {
  readonly value: string
  readonly partition: number
  /** Of the first copy. */
  readonly offset: number
  readonly attempt: number
  readonly number: number
  readonly lease: Uint8Array
  readonly isRetry: boolean
  readonly history: ReturnType<typeof decodeHistory>
}

export const popGroup = 7 as GroupId
export const policy: GroupPolicy = {
  assignor: 'sticky',
  sessionMs: 6_000,
  maxAttempts: 4,
  backoff: '1s,5s',
  invisibleMs: 30_000,
  order: 'none',
  onFailure: 'park',
  deadRetentionMs: 14 * 86_400_000,
  outageBrake: 'on',
  maxInFlight: 0,
  maxInFlightPerConsumer: 0,
}

export function servedGroup(
  changes: Partial<ServedGroup> & { readonly topic?: Partial<ServedTopic> } = {},
): ServedGroup {
  const { topic, ...rest } = changes
  return {
    groupId: popGroup,
    name: 'mail',
    policy,
    deadTopicId: topicId(1_000),
    topics: [{ topicId: topicId(1), mode: 'pop', isPaused: false, ...topic }],
    ...rest,
  }
}

/** For tests: a broker with topics that groups pop, and what consumers do. */
export class DeliveryWorld {
  readonly world = new BrokerWorld()

  async start(
    groups: readonly ServedGroup[] = [servedGroup()],
    topics: readonly TopicInfo[] = [sampleTopic],
  ): Promise<this> {
    this.world.groups = groups
    this.world.topics = topics
    await this.world.start()
    return this
  }

  get clock(): BrokerWorld['clock'] {
    return this.world.clock
  }

  send(
    values: readonly (string | Uint8Array)[],
    place: { readonly partition?: number; readonly topic?: number; readonly tag?: string } = {},
  ): Promise<void> {
    return this.world.during(this.sending(values, place))
  }

  /** As `send`, without letting time pass. */
  async sending(
    values: readonly (string | Uint8Array)[],
    { partition = 0, topic = 1, tag = '' } = {},
  ): Promise<void> {
    const sections = tag === '' ? {} : { sections: () => ({ tag }) }
    const bytes = sampleRun({ values, partition, topic, ...sections })
    const run = { topicId: topicId(topic), partition, bytes: bytes.length, count: values.length }
    const request = { acks: 'disk', runs: [run] } as unknown as RequestOf<typeof produce>
    const options = { timeoutMs: 60_000, slices: [bytes] }
    const { reply } = await this.caller.call(produce, request, options)
    const failed = reply.results.find(({ error }) => error !== undefined)
    if (failed !== undefined) throw new Error(failed.what)
  }

  pop(asked: Partial<RequestOf<typeof pop>> = {}): Promise<Held[]> {
    return this.world.during(this.popping(asked))
  }

  /** As `pop`, without letting time pass. */
  async popping(asked: Partial<RequestOf<typeof pop>> = {}): Promise<Held[]> {
    return (await this.popWithReason(asked)).held
  }

  async popWithReason(
    asked: Partial<RequestOf<typeof pop>> = {},
  ): Promise<{ readonly held: Held[]; readonly reason: string | undefined }> {
    const request = {
      groupId: popGroup,
      topics: [topicId(1)],
      max: 32,
      maxBytes: 1_000_000,
      waitMs: 0,
      consumer: 'a',
      ...asked,
    }
    const { reply, bytes } = await this.caller.call(pop, request, { timeoutMs: 120_000 })
    return { held: heldOf(reply.runs, bytes), reason: reply.reason }
  }

  ack(held: readonly Held[], group = popGroup): Promise<SettleResult[]> {
    return this.settle(held, { verb: 'ack', groupId: group })
  }

  nack(
    held: readonly Held[],
    more: {
      readonly error?: Failure
      readonly delayMs?: number
      readonly retriable?: boolean
    } = {},
  ): Promise<SettleResult[]> {
    return this.settle(held, { verb: 'nack', ...more })
  }

  /** One result for each, in their order. */
  async settle(
    held: readonly Pick<Held, 'lease' | 'number'>[],
    asked: Partial<RequestOf<typeof settle>> & Pick<RequestOf<typeof settle>, 'verb'>,
  ): Promise<SettleResult[]> {
    return this.world.during(this.settling(held, asked))
  }

  async settling(
    held: readonly Pick<Held, 'lease' | 'number'>[],
    asked: Partial<RequestOf<typeof settle>> & Pick<RequestOf<typeof settle>, 'verb'>,
  ): Promise<SettleResult[]> {
    const leases = held.map(({ lease, number }) => ({ lease, numbers: [number] }))
    const request = { groupId: popGroup, leases, ...asked }
    const { reply } = await this.caller.call(settle, request, { timeoutMs: 120_000 })
    return reply.results.flat()
  }

  /** Where the group's messages are, summed over the partitions; throws unless they add up. */
  async states(group = popGroup): Promise<Record<StateName, number>> {
    const { delivering } = this.set
    const { partitions } = await this.world.during(delivering.report(group))
    const sums = Object.fromEntries(stateNames.map((name) => [name, 0])) as Record<
      StateName,
      number
    >
    for (const partition of partitions) {
      const all = stateNames.reduce((sum, name) => sum + partition[name], 0)
      if (all !== partition.high) throw new Error(`${JSON.stringify(partition)} adds up to ${all}`)
      for (const name of stateNames) sums[name] += partition[name]
    }
    return sums
  }

  get set(): NonNullable<NonNullable<BrokerWorld['broker']>['set']> {
    const set = this.world.broker?.set
    if (set === undefined) throw new Error('the broker does not serve')
    return set
  }

  get caller(): NonNullable<BrokerWorld['caller']> {
    if (this.world.caller === undefined) throw new Error('the world was started')
    return this.world.caller
  }
}

const stateNames = ['ready', 'leased', 'retrying', 'parked', 'dead', 'acked', 'skipped'] as const
type StateName = (typeof stateNames)[number] & keyof PartitionState

const decoder = new TextDecoder()

function heldOf(runs: readonly PoppedRun[], bytes: Uint8Array): Held[] {
  const record = new RecordView()
  let at = 0
  return runs.flatMap(({ lease, count, attempt, partition }) =>
    Array.from({ length: count }, (): Held => {
      record.move(bytes, at)
      at += record.length
      const isRetry = record.kind === recordKinds.retry
      const { history } = readSections(record)
      return {
        value: decoder.decode(record.body),
        partition,
        offset: sourceOf(record)?.offset ?? record.offset,
        attempt,
        number: record.offset,
        lease,
        isRetry,
        history: history === undefined ? [] : decodeHistory(history),
      }
    }),
  )
}
