import { errorName, type metadata, MqError, quoted, type ReplyOf } from '@popmq/protocol'
import type { TopicInfo } from '@popmq/protocol'
import type { TopicDescription } from './api/admin.ts'
import { RouteTable } from './core/route-table.ts'

/** A topic as the coordinators know it now, and who leads its partitions. */
export interface RoutedTopic {
  readonly info: TopicInfo
  readonly table: RouteTable
}

export function tableOf(answer: ReplyOf<typeof metadata>): RouteTable {
  const table = new RouteTable()
  table.apply(answer, undefined)
  return table
}

export function describe({ info, table }: RoutedTopic): TopicDescription {
  const { name, id, createdAt, policy, sets } = info
  const partitions = sets.map((set, partition) => {
    const leader = table.leader(info, partition)
    return { partition, set, leader: leader?.brokerId ?? 0, address: leader?.address ?? '' }
  })
  return { name, id, createdAt, policy, partitions }
}

interface PartitionResult {
  readonly error?: number
  readonly what?: string
  readonly low: number
  readonly high: number
}

/** @throws MqError when a result is one, or is missing */
export function throwResult<T extends PartitionResult>(result: T | undefined): asserts result is T {
  if (result === undefined)
    throw new MqError('internal', 'the broker did not answer for a partition')
  if (result.error === undefined) return
  const facts = { low: result.low, high: result.high }
  throw new MqError(errorName(result.error), result.what ?? 'the broker refused', { facts })
}

export function noPartition(topic: string, partition: number): MqError {
  const what = `topic ${quoted(topic)} has no partition ${partition}`
  return new MqError('partition_not_found', what)
}

/** @throws MqError `unreachable` while none leads */
export function leaderOf({ info, table }: RoutedTopic, partition: number): string {
  const leader = table.leader(info, partition)
  if (leader !== undefined) return leader.address
  throw new MqError('unreachable', `no broker leads partition ${partition} of ${quoted(info.name)}`)
}
