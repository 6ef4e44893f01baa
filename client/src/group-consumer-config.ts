import { checkName, isName, MqError, quoted } from '@popmq/protocol'
import type { GroupConsumerOptions } from './api/group-consumer.ts'
import type { TopicPartition } from './api/message.ts'
import { checkWord, withDefaults } from './options.ts'
import { checkRead, type PullConsumerConfig, readDefaults } from './pull-consumer-config.ts'
import { readRanges } from './pull-consumer-config.ts'

/** The options of a member, checked. */
export interface GroupConsumerConfig extends Omit<PullConsumerConfig, 'topics' | 'partitions'> {
  readonly group: string
  readonly topics: readonly string[]
  readonly broadcast: boolean
  readonly member: string | undefined
  readonly commit: 'auto' | 'manual'
  readonly retries: boolean
  readonly autoCommitMs: number
  readonly drainMs: number
  readonly onAssign: GroupConsumerOptions['onAssign'] | undefined
  readonly onRevoke: GroupConsumerOptions['onRevoke'] | undefined
  readonly onLost: ((partitions: readonly TopicPartition[]) => void) | undefined
}

const defaults: GroupConsumerConfig = {
  ...readDefaults,
  group: '',
  topics: [],
  broadcast: false,
  member: undefined,
  commit: 'auto',
  retries: true,
  autoCommitMs: 1_000,
  drainMs: 10_000,
  onAssign: undefined,
  onRevoke: undefined,
  onLost: undefined,
}

const ranges = {
  ...readRanges,
  autoCommitMs: [10, 600_000],
  drainMs: [0, 590_000],
} as const

const mostTopics = 1_000

/** @throws MqError `invalid_request`, `invalid_name` */
export function groupConsumerConfig(options: GroupConsumerOptions): GroupConsumerConfig {
  if ('partitions' in options) {
    throw invalid('a member of a group reads topics: it is given partitions, and cannot name them')
  }
  const config = withDefaults<GroupConsumerConfig>('pullConsumer', options, { defaults, ranges })
  const { group, topics, member } = config
  if (typeof group !== 'string') throw invalid('pullConsumer option group is a name')
  checkName('group', group)
  if (!Array.isArray(topics) || topics.length < 1 || topics.length > mostTopics) {
    throw invalid(`pullConsumer option topics takes 1 to ${mostTopics} topics in a group`)
  }
  if (new Set(topics).size < topics.length) throw invalid('a topic is named twice')
  checkRead(config, topics)
  checkWord('pullConsumer option commit', config.commit, ['auto', 'manual'])
  for (const flag of ['broadcast', 'retries'] as const) {
    if (typeof config[flag] !== 'boolean') throw invalid(`pullConsumer option ${flag} is a flag`)
  }
  if (member !== undefined) {
    if (typeof member !== 'string') throw invalid('pullConsumer option member is a name')
    if (!isName(member)) throw new MqError('invalid_name', `member ${quoted(member)} is not a name`)
  }
  for (const name of ['onAssign', 'onRevoke', 'onLost', 'onJump'] as const) {
    const given = config[name]
    if (given !== undefined && typeof given !== 'function') {
      throw invalid(`pullConsumer option ${name} is a function`)
    }
  }
  return config
}

/** Whether the coordinator keeps its progress: not that of a broadcast member without a name. */
export function keepsProgress({ broadcast, member }: GroupConsumerConfig): boolean {
  return !broadcast || member !== undefined
}

function invalid(what: string): MqError {
  return new MqError('invalid_request', what)
}
