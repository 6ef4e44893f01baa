import type { Command } from 'commander'
import { nearest } from '@popmq/kit'
import { limits, MqError } from '@popmq/protocol'
import type { Client, PullConsumer } from '@popmq/client'
import { durationBetween } from '../duration.ts'
import type { Invocation } from '../invocation.ts'
import { parseFrom } from '../moment.ts'
import { type Act, asOption, asUsage, collect, wrongUsage } from '../usage.ts'
import { wholeNumber } from '../whole-number.ts'
import { consumeAsMember } from './consume-member.ts'
import { mostPerReceive, printBatch } from './print-batch.ts'

export function addConsumeCommand(program: Command, act: Act): void {
  program
    .command('consume')
    .description('print the messages of a topic, alone or as a member of a group')
    .argument('<topic>')
    .option(
      '--group <group>',
      'share the partitions with the other members; commit what is printed',
    )
    .option(
      '--from <position>',
      'earliest, latest, an offset, or a time (2026-03-01T12:00:00Z, -1h); in a group where it begins',
      'earliest',
    )
    .option(
      '--partition <n>',
      'only this partition',
      asOption(wholeNumber(0, limits.partitionsPerTopic - 1)),
    )
    .option(
      '--commit <mode>',
      'auto: commit what was written to stdout, with a group; none: commit nothing',
      asOption(parseCommit),
    )
    .option('--member <id>', 'a name in the group that stays over restarts')
    .option('--broadcast', 'read all partitions, as every member of the group does')
    .option('--filter <tag>', 'only messages with this tag; may be given again', collect)
    .option('--max <n>', 'end after this many messages', asOption(wholeNumber(1)))
    .option(
      '--until-idle <time>',
      'end when no message came for this long',
      asOption(durationBetween(1, 86_400_000)),
    )
    .action(act(consume))
}

export interface ConsumeFlags {
  readonly group?: string
  readonly from: string
  readonly partition?: number
  readonly commit?: 'auto' | 'none'
  readonly member?: string
  readonly broadcast?: boolean
  readonly filter?: readonly string[]
  readonly max?: number
  readonly untilIdle?: number
}

const waitMs = 20_000

async function consume(invocation: Invocation, topic: string, flags: ConsumeFlags): Promise<void> {
  checkTogether(flags)
  const from = asUsage(() => parseFrom(flags.from, invocation.clock.now()))
  const { group } = flags
  try {
    const client = await invocation.connect()
    if (group === undefined) await consumeAlone(invocation, client, { ...flags, topic, from })
    else await consumeAsMember(invocation, client, { ...flags, group, topic, from })
  } catch (error) {
    // Being stopped is how reading without an end ends.
    if (!(invocation.signal.aborted && error instanceof MqError && error.name === 'aborted'))
      throw error
  }
}

/** What is to be read, from where. */
export type Source = Omit<ConsumeFlags, 'from' | 'group'> & {
  readonly topic: string
  readonly from: ReturnType<typeof parseFrom>
}

async function consumeAlone(invocation: Invocation, client: Client, source: Source): Promise<void> {
  const { topic, partition, filter, from } = source
  const consumer = client.pullConsumer({
    ...(partition === undefined ? { topics: [topic] } : { partitions: [{ topic, partition }] }),
    ...(filter === undefined ? {} : { tags: filter }),
    from,
  })
  try {
    await printMessages(invocation, consumer, source)
  } finally {
    await consumer.close()
  }
}

/** Until `max`, until idle, or until stopped. What was received is printed before the next is asked for. */
async function printMessages(
  invocation: Invocation,
  consumer: PullConsumer,
  { max, untilIdle }: Source,
): Promise<void> {
  const { signal } = invocation
  let left = max ?? Number.POSITIVE_INFINITY
  while (left > 0 && !signal.aborted) {
    const options = { max: Math.min(left, mostPerReceive), waitMs: untilIdle ?? waitMs, signal }
    const messages = await consumer.receive(options)
    if (messages.length === 0 && untilIdle !== undefined) return
    left -= messages.length
    await printBatch(invocation, messages)
  }
}

function checkTogether({ group, commit, member, broadcast, partition }: ConsumeFlags): void {
  if (group !== undefined) {
    if (partition !== undefined)
      throw wrongUsage('--partition does not go with --group: members are given partitions')
    return
  }
  const misplaced = [
    commit === 'auto' ? '--commit auto' : undefined,
    member === undefined ? undefined : '--member',
    broadcast === true ? '--broadcast' : undefined,
  ].find((flag) => flag !== undefined)
  if (misplaced !== undefined) throw wrongUsage(`${misplaced} goes with --group`)
}

function parseCommit(text: string): 'auto' | 'none' {
  if (text === 'none' || text === 'auto') return text
  const near = nearest(text, ['none', 'auto'])
  throw new MqError(
    'invalid_request',
    near === undefined ? 'write auto or none' : `did you mean ${near}?`,
  )
}
