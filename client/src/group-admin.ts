import { groupDelete, groupDescribe, groupList, groupPause } from '@popmq/protocol'
import { groupRebalances, groupReset, groupSet } from '@popmq/protocol'
import { type GroupSummary, type HeldGrant, type MemberInfo, MqError } from '@popmq/protocol'
import { metadata, offset, partitionNumber, quoted, type ReplyOf, topicId } from '@popmq/protocol'
import type { Admin, CallOptions } from './api/admin.ts'
import type { GroupAdmin, GroupConfig, GroupDescription, GroupMember } from './api/group-admin.ts'
import type { GroupOverview, GroupPolicyDescription, GroupRebalance } from './api/group-admin.ts'
import type { GroupTopic, HeldTopicPartition, PartitionLag } from './api/group-admin.ts'
import type { GroupStates, PartitionProgress, ProgressMove } from './api/group-admin.ts'
import type { ResetOptions } from './api/group-admin.ts'
import type { InflightList, ReleaseResult, RetryChangeResult } from './api/group-waiting.ts'
import type { RetryList } from './api/group-waiting.ts'
import { GroupLag } from './group-lag.ts'
import { checkOffset } from './group-start.ts'
import { GroupWaiting } from './group-waiting.ts'
import { checkRange } from './options.ts'
import { checkReadFrom } from './pull-consumer-config.ts'
import { byPlace } from './reading.ts'
import type { SetLeadersDeps } from './set-leaders.ts'

export interface GroupAdminDeps extends SetLeadersDeps {
  readonly admin: Pick<Admin, 'offsets' | 'messageAt' | 'describeTopic'>
}

/** How long a call is tried. */
const tryMs = 30_000
const defaultRebalances = 20

type Described = ReplyOf<typeof groupDescribe>
type TopicNames = (id: number) => string

/** Asks the coordinators about groups, and the brokers for bounds and times. */
export class RemoteGroupAdmin implements GroupAdmin {
  readonly #deps: GroupAdminDeps
  readonly #waiting: GroupWaiting

  constructor(deps: GroupAdminDeps) {
    this.#deps = deps
    this.#waiting = new GroupWaiting(deps)
  }

  async list({ signal }: CallOptions = {}): Promise<GroupOverview[]> {
    const { groups } = await this.#deps.coordinators.call(groupList, {}, repeatable(signal))
    return groups.map(overview).sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  async describe(group: string, options: CallOptions = {}): Promise<GroupDescription> {
    const told = await this.#describe(group, options)
    const names = await this.#names(told, options)
    const { policy, members } = told
    const memberList = members.map((info) => memberOf(info, names)).sort(byMember)
    return { ...overview(told.group), policy, memberList, progress: progressOf(told, names) }
  }

  async config(group: string, options: CallOptions = {}): Promise<GroupPolicyDescription> {
    return (await this.#describe(group, options)).policy
  }

  async setConfig(
    group: string,
    config: GroupConfig,
    { signal }: CallOptions = {},
  ): Promise<GroupPolicyDescription> {
    const { coordinators } = this.#deps
    const { policy } = await coordinators.call(groupSet, { group, config }, repeatable(signal))
    return policy
  }

  async members(group: string, options: CallOptions = {}): Promise<GroupMember[]> {
    const told = await this.#describe(group, options)
    const names = await this.#names(told, options)
    return told.members.map((info) => memberOf(info, names)).sort(byMember)
  }

  async lag(group: string, options: CallOptions = {}): Promise<PartitionLag[]> {
    const { partitions, unknown } = await this.states(group, options)
    const [first] = unknown
    if (first === undefined) return [...partitions]
    const others = unknown.length === 1 ? '' : ` and ${unknown.length - 1} others`
    const what = `no broker tells of partition ${first.partition} of topic ${quoted(first.topic)}${others}`
    throw new MqError('unreachable', what, { facts: { ...first, unknown: unknown.length } })
  }

  async states(group: string, options: CallOptions = {}): Promise<GroupStates> {
    const told = await this.#describe(group, options)
    const nameOf = await this.#names(told, options)
    const broadcast = progressOf(told, nameOf).filter(({ member }) => member !== undefined)
    return new GroupLag(this.#deps).states({ group, broadcast, nameOf }, options)
  }

  inflight(
    group: string,
    options: { readonly limit?: number } & CallOptions = {},
  ): Promise<InflightList> {
    return this.#waiting.inflight(group, options)
  }

  releaseInflight(
    group: string,
    ids: readonly string[],
    options: CallOptions = {},
  ): Promise<ReleaseResult[]> {
    return this.#waiting.release(group, ids, options)
  }

  retries(
    group: string,
    options: { readonly limit?: number } & CallOptions = {},
  ): Promise<RetryList> {
    return this.#waiting.retries(group, options)
  }

  retryNow(
    group: string,
    ids: readonly string[],
    options: CallOptions = {},
  ): Promise<RetryChangeResult[]> {
    return this.#waiting.change(group, { ids, to: 'now' }, options)
  }

  retryDead(
    group: string,
    ids: readonly string[],
    options: CallOptions = {},
  ): Promise<RetryChangeResult[]> {
    return this.#waiting.change(group, { ids, to: 'dead' }, options)
  }

  async resetProgress(
    group: string,
    topic: string,
    { to, dryRun, partitions, operator, signal }: ResetOptions,
  ): Promise<ProgressMove[]> {
    checkReadFrom(to)
    const { coordinators, admin } = this.#deps
    const options = signal === undefined ? {} : { signal }
    const { id } = await admin.describeTopic(topic, options)
    const all = await admin.offsets(topic, {
      ...options,
      ...(to instanceof Date ? { at: to } : {}),
    })
    const offsets = (partitions ?? all.map(({ partition }) => partition)).map((partition) => {
      const bounds = all.find((each) => each.partition === partition)
      const at = checkOffset(
        { topic, partition },
        { to, bounds, isExact: partitions !== undefined },
      )
      return { partition: partitionNumber(partition), offset: offset(at) }
    })
    const request = {
      group,
      topicId: topicId(id),
      offsets,
      ...(dryRun === undefined ? {} : { dryRun }),
      ...(operator === undefined ? {} : { operator }),
    }
    const { moves } = await coordinators.call(groupReset, request, repeatable(signal))
    return moves.map((move) => ({ ...move })).sort((a, b) => a.partition - b.partition)
  }

  pause(
    group: string,
    options: { readonly topic?: string } & CallOptions = {},
  ): Promise<GroupTopic[]> {
    return this.#pause(group, true, options)
  }

  resume(
    group: string,
    options: { readonly topic?: string } & CallOptions = {},
  ): Promise<GroupTopic[]> {
    return this.#pause(group, false, options)
  }

  async delete(group: string, { signal }: CallOptions = {}): Promise<void> {
    const how = { ...repeatable(signal), isRepeatable: false }
    await this.#deps.coordinators.call(groupDelete, { group }, how)
  }

  async rebalances(
    group: string,
    { limit = defaultRebalances, ...options }: { readonly limit?: number } & CallOptions = {},
  ): Promise<GroupRebalance[]> {
    checkRange('limit', limit, [1, 100])
    const how = repeatable(options.signal)
    const { rebalances } = await this.#deps.coordinators.call(
      groupRebalances,
      { group, limit },
      how,
    )
    const names = await this.#names(await this.#describe(group, options), options)
    return rebalances.map(({ moves, ...rebalance }) => ({
      ...rebalance,
      moves: moves.map(({ topicId: id, ...move }) => ({ topic: names(id), ...move })),
    }))
  }

  #describe(group: string, { signal }: CallOptions): Promise<Described> {
    return this.#deps.coordinators.call(groupDescribe, { group }, repeatable(signal))
  }

  async #pause(
    group: string,
    isPaused: boolean,
    { topic, signal }: { readonly topic?: string } & CallOptions,
  ): Promise<GroupTopic[]> {
    const request = { group, isPaused, ...(topic === undefined ? {} : { topic }) }
    const { topics } = await this.#deps.coordinators.call(groupPause, request, repeatable(signal))
    return topics.map(topicOf)
  }

  /** The names of the topics that a group reads, and of others that it has progress of. */
  async #names({ group }: Described, { signal }: CallOptions): Promise<TopicNames> {
    const names = new Map<number, string>(group.topics.map(({ name, topicId: id }) => [id, name]))
    const { topics } = await this.#deps.coordinators.call(metadata, {}, repeatable(signal))
    for (const { name, id } of topics) names.set(id, name)
    return (id) => names.get(id) ?? `#${id}`
  }
}

function repeatable(signal: AbortSignal | undefined) {
  return { withinMs: tryMs, isRepeatable: true, ...(signal === undefined ? {} : { signal }) }
}

function overview({ name, groupId, state, members, topics }: GroupSummary): GroupOverview {
  return { name, id: groupId, state, members, topics: topics.map(topicOf) }
}

function topicOf({ name, mode, tags, isPaused }: GroupSummary['topics'][number]): GroupTopic {
  return { name, mode, isPaused, ...(tags === undefined ? {} : { tags }) }
}

function memberOf({ grants, revoking, ...info }: MemberInfo, names: TopicNames): GroupMember {
  const place = ({ topicId: id, partition, epoch }: HeldGrant): HeldTopicPartition => {
    return { topic: names(id), partition, epoch }
  }
  const partitions = grants.map(place).sort(byPlace)
  return { ...info, partitions, revoking: revoking.map(place).sort(byPlace) }
}

function progressOf({ progress }: Described, names: TopicNames): PartitionProgress[] {
  const all = progress.flatMap(({ topicId: id, member, offsets }) =>
    offsets.map((at, partition) => {
      const of = member === undefined ? {} : { member }
      return { topic: names(id), partition, offset: at, ...of }
    }),
  )
  return all.sort((a, b) => byPlace(a, b) || ((a.member ?? '') < (b.member ?? '') ? -1 : 1))
}

function byMember(a: GroupMember, b: GroupMember): number {
  return a.memberId < b.memberId ? -1 : 1
}
