import { checkName, isSystemName, limits, MqError } from '@popmq/protocol'
import type { TopicPartition } from './api/message.ts'
import type { PartitionOffset, PullConsumerOptions, ReadFrom } from './api/pull-consumer.ts'
import { checkRange, checkWord, withDefaults } from './options.ts'

export interface PullConsumerConfig extends Required<
  Omit<PullConsumerOptions, 'topics' | 'partitions' | 'onJump' | 'tags'>
> {
  readonly topics: readonly string[] | undefined
  readonly partitions: readonly TopicPartition[] | undefined
  readonly tags: readonly string[] | undefined
  readonly onJump: PullConsumerOptions['onJump'] | undefined
}

/** Those that every consumer has. */
export const readDefaults: Omit<PullConsumerConfig, 'topics' | 'partitions'> = {
  from: 'earliest',
  onOutOfRange: 'fail',
  onJump: undefined,
  tags: undefined,
  maxBytes: 4_194_304,
  waitMs: 20_000,
  prefetchBytes: 16_777_216,
}

const defaults: PullConsumerConfig = { ...readDefaults, topics: undefined, partitions: undefined }

export const readRanges = {
  maxBytes: [1, 67_108_864],
  waitMs: [0, limits.waitMs],
  prefetchBytes: [0, 1_073_741_824],
} as const

const mostTags = 64
const ofGroups = [
  ...['broadcast', 'member', 'commit', 'autoCommitMs', 'drainMs'],
  ...['onAssign', 'onRevoke', 'onLost'],
]

/** @throws MqError `invalid_request`, `invalid_name` */
export function pullConsumerConfig(options: PullConsumerOptions): PullConsumerConfig {
  const misplaced = ofGroups.find((name) => name in options)
  if (misplaced !== undefined) throw invalid(`pullConsumer option ${misplaced} goes with a group`)
  const config = withDefaults<PullConsumerConfig>('pullConsumer', options, {
    defaults,
    ranges: readRanges,
  })
  const { topics, partitions } = config
  if ((topics === undefined) === (partitions === undefined)) {
    throw invalid('pullConsumer takes either topics or partitions')
  }
  for (const { partition } of partitions ?? []) {
    checkRange('a partition', partition, [0, limits.partitionsPerTopic - 1])
  }
  checkRead(config, topics ?? partitions?.map((each) => each.topic) ?? [])
  return config
}

/** Checks what consumers of all kinds are told. @throws MqError `invalid_request`, `invalid_name` */
export function checkRead(
  { tags, from, onOutOfRange }: Omit<PullConsumerConfig, 'topics' | 'partitions'>,
  topics: readonly string[],
): void {
  for (const topic of topics) checkTopic(topic)
  checkWord('pullConsumer option onOutOfRange', onOutOfRange, ['earliest', 'latest', 'fail'])
  if (tags !== undefined && (tags.length < 1 || tags.length > mostTags)) {
    throw invalid(`pullConsumer option tags takes 1 to ${mostTags} tags`)
  }
  for (const start of Array.isArray(from) ? from.map(offsetOf) : [from]) checkReadFrom(start)
}

/** Where the start of one partition lies. */
export function startOf({ from }: Pick<PullConsumerConfig, 'from'>, at: TopicPartition): ReadFrom {
  if (!isOffsetList(from)) return from
  const named = from.find((each) => each.topic === at.topic && each.partition === at.partition)
  return named?.offset ?? 'earliest'
}

/** @throws MqError `invalid_request` */
export function checkReadFrom(from: unknown): void {
  if (from === 'earliest' || from === 'latest') return
  if (typeof from === 'number') return checkRange('an offset', from, [0, Number.MAX_SAFE_INTEGER])
  if (from instanceof Date && from.getTime() >= 0) return
  throw invalid(`a place to read from is an offset, 'earliest', 'latest' or a valid Date`)
}

function isOffsetList(from: PullConsumerConfig['from']): from is readonly PartitionOffset[] {
  return Array.isArray(from)
}

function offsetOf(entry: unknown): unknown {
  return typeof entry === 'object' && entry !== null && 'offset' in entry ? entry.offset : undefined
}

function checkTopic(name: string): void {
  if (!isSystemName(name)) checkName('topic', name)
}

function invalid(what: string): MqError {
  return new MqError('invalid_request', what)
}
