import { type Command, Option } from 'commander'
import type { PartitionOffsets, TopicDescription } from '@popmq/client'
import { limits } from '@popmq/protocol'
import { formatDuration } from '../duration.ts'
import type { Invocation } from '../invocation.ts'
import { parseOffsetOrMoment } from '../moment.ts'
import { oneLine } from '../output.ts'
import { checkKeys, parsePairs } from '../pair.ts'
import { formatSize } from '../size.ts'
import { type Act, asOption, asUsage, wrongUsage } from '../usage.ts'
import { wholeNumber } from '../whole-number.ts'

const configKeys = ['retention', 'maxBytes', 'maxMessageBytes', 'dedupWindow', 'replicas']
const configHelp = `keys: ${configKeys.join(', ')}`

export function addTopicCommands(program: Command, act: Act): void {
  const topic = program.command('topic').description('make, change and look at topics')
  const partitions = (): Option =>
    new Option('--partitions <n>', 'number of partitions').argParser(
      asOption(wholeNumber(1, limits.partitionsPerTopic)),
    )
  const yes = ['--yes', 'do not ask on a terminal'] as const
  topic
    .command('create')
    .description('make a topic')
    .argument('<topic>')
    .argument('[key=value...]', configHelp)
    .addOption(partitions())
    .action(act(createTopic))
  topic.command('list').description('name all topics').action(act(listTopics))
  topic
    .command('describe')
    .description('one topic and its partitions')
    .argument('<topic>')
    .action(act(describeTopic))
  topic
    .command('set')
    .description('change keys, or add partitions')
    .argument('<topic>')
    .argument('[key=value...]', configHelp)
    .addOption(partitions())
    .action(act(setTopic))
  topic
    .command('purge')
    .description('make messages unreadable for good and give their disk space back')
    .argument('<topic>')
    .option('--before <offset|time>', 'only those below this offset, or appended before this time')
    .option(
      '--partition <n>',
      'only this partition',
      asOption(wholeNumber(0, limits.partitionsPerTopic - 1)),
    )
    .option(...yes)
    .action(act(purgeTopic))
  topic
    .command('delete')
    .description('delete a topic and its messages')
    .argument('<topic>')
    .option(...yes)
    .action(act(deleteTopic))
}

interface TopicFlags {
  readonly partitions?: number
}

// oxlint-disable-next-line max-params -- commander gives arguments and flags in a row
async function createTopic(
  invocation: Invocation,
  name: string,
  words: string[],
  flags: TopicFlags,
): Promise<void> {
  const config = readConfig(words)
  const { signal } = invocation
  const client = await invocation.connect()
  const topic = await client.admin().createTopic(name, { ...flags, config, signal })
  await invocation.output.object(topicLine(topic), () => `created ${topicText(topic)}`)
}

// oxlint-disable-next-line max-params -- commander gives arguments and flags in a row
async function setTopic(
  invocation: Invocation,
  name: string,
  words: string[],
  flags: TopicFlags,
): Promise<void> {
  const config = readConfig(words)
  if (words.length === 0 && flags.partitions === undefined) {
    throw wrongUsage('nothing to change: give key=value or --partitions')
  }
  const { signal } = invocation
  const client = await invocation.connect()
  const topic = await client.admin().setTopic(name, { ...flags, config, signal })
  await invocation.output.object(topicLine(topic), () => `changed ${topicText(topic)}`)
}

async function listTopics(invocation: Invocation): Promise<void> {
  const client = await invocation.connect()
  const topics = await client.admin().listTopics({ signal: invocation.signal })
  await invocation.output.rows(topics.map(topicLine), {
    head: ['topic', 'partitions', 'retention', 'max bytes', 'replicas'],
    cells: ({ name, partitions, policy }) => [
      oneLine(name),
      String(partitions),
      retentionText(policy.retentionMs),
      policy.maxBytes === 0 ? 'any' : formatSize(policy.maxBytes),
      String(policy.replicas),
    ],
    empty: 'no topics yet: popmq topic create NAME',
  })
}

async function describeTopic(invocation: Invocation, name: string): Promise<void> {
  const { output, signal } = invocation
  const admin = (await invocation.connect()).admin()
  const topic = await admin.describeTopic(name, { signal })
  const bounds = new Map(
    (await admin.offsets(name, { signal })).map((offsets) => [offsets.partition, offsets]),
  )
  const partitions = topic.partitions.map(({ partition, set, leader, address }) => {
    const { low, high } = bounds.get(partition) ?? { low: undefined, high: undefined }
    return { partition, set, leader, address, low, high }
  })
  if (output.json) return output.raw(`${JSON.stringify({ ...topicLine(topic), partitions })}\n`)
  const { policy } = topic
  await output.text(topicText(topic))
  await output.text(`id ${topic.id}, created ${new Date(topic.createdAt).toISOString()}`)
  await output.text(
    `maxBytes ${policy.maxBytes === 0 ? 'any' : formatSize(policy.maxBytes)}, ` +
      `maxMessageBytes ${formatSize(policy.maxMessageBytes)}, dedupWindow ${formatDuration(policy.dedupWindowMs)}`,
  )
  await output.rows(partitions, {
    head: ['partition', 'low', 'high', 'messages', 'leader', 'address'],
    cells: ({ partition, low, high, leader, address }) => [
      String(partition),
      low === undefined ? '?' : String(low),
      high === undefined ? '?' : String(high),
      low === undefined || high === undefined ? '?' : String(high - low),
      leader === 0 ? 'none' : `broker ${leader}`,
      oneLine(address),
    ],
    empty: 'no partitions',
  })
}

interface PurgeFlags {
  readonly before?: string
  readonly partition?: number
  readonly yes?: boolean
}

async function purgeTopic(invocation: Invocation, name: string, flags: PurgeFlags): Promise<void> {
  const { before: limit, partition } = flags
  const before =
    limit === undefined
      ? undefined
      : asUsage(() => parseOffsetOrMoment(limit, invocation.clock.now()))
  const what = limit === undefined ? 'all messages' : `the messages before ${limit}`
  await invocation.confirm(`Make ${what} of topic ${name} unreadable for good?`, flags)
  const client = await invocation.connect()
  const bounds = await client.admin().purgeTopic(name, {
    ...(before === undefined ? {} : { before }),
    ...(partition === undefined ? {} : { partition }),
    signal: invocation.signal,
  })
  await invocation.output.rows(bounds.map(boundsLine), {
    head: ['partition', 'low', 'high'],
    cells: (line) => [line.partition, line.low, line.high].map(String),
    empty: 'nothing was purged',
  })
}

async function deleteTopic(
  invocation: Invocation,
  name: string,
  flags: { yes?: boolean },
): Promise<void> {
  await invocation.confirm(`Delete topic ${name} and its messages for good?`, flags)
  const client = await invocation.connect()
  await client.admin().deleteTopic(name, { signal: invocation.signal })
  await invocation.output.object({ deleted: name }, () => `deleted ${name}`)
}

function readConfig(words: readonly string[]): Record<string, string> {
  return asUsage(() => {
    const config = parsePairs(words)
    checkKeys(Object.keys(config), configKeys)
    return config
  })
}

function topicLine({ name, id, createdAt, policy, partitions }: TopicDescription) {
  return { name, id, partitions: partitions.length, policy, createdAt }
}

function topicText({ name, partitions, policy }: TopicDescription): string {
  const count = `${partitions.length} ${partitions.length === 1 ? 'partition' : 'partitions'}`
  return `${oneLine(name)}: ${count}, retention ${retentionText(policy.retentionMs)}, replicas ${policy.replicas}`
}

function boundsLine({ partition, low, high }: PartitionOffsets) {
  return { partition, low, high }
}

function retentionText(retentionMs: number): string {
  return retentionMs === 0 ? 'for ever' : formatDuration(retentionMs)
}
