import type { Command } from 'commander'
import { nearest } from '@popmq/kit'
import { limits, MqError } from '@popmq/protocol'
import type { Message, PullConsumer } from '@popmq/client'
import { durationBetween } from '../duration.ts'
import type { Invocation } from '../invocation.ts'
import { messageLine, messageText } from '../message-line.ts'
import { parseFrom } from '../moment.ts'
import { type Act, asOption, asUsage, collect } from '../usage.ts'
import { wholeNumber } from '../whole-number.ts'

export function addConsumeCommand(program: Command, act: Act): void {
  program
    .command('consume')
    .description('print the messages of a topic; nothing is committed')
    .argument('<topic>')
    .option(
      '--from <position>',
      'earliest, latest, an offset, or a time (2026-03-01T12:00:00Z, -1h)',
      'earliest',
    )
    .option(
      '--partition <n>',
      'only this partition',
      asOption(wholeNumber(0, limits.partitionsPerTopic - 1)),
    )
    .option('--commit <mode>', 'none: the only mode without a group', asOption(parseCommit), 'none')
    .option('--filter <tag>', 'only messages with this tag; may be given again', collect)
    .option('--max <n>', 'end after this many messages', asOption(wholeNumber(1)))
    .option(
      '--until-idle <time>',
      'end when no message came for this long',
      asOption(durationBetween(1, 86_400_000)),
    )
    .action(act(consume))
}

interface ConsumeFlags {
  readonly from: string
  readonly partition?: number
  readonly filter?: readonly string[]
  readonly max?: number
  readonly untilIdle?: number
}

const mostPerReceive = 1_000
const waitMs = 20_000
/** What is joined into one write; a message is never split. */
const writeChars = 262_144

async function consume(invocation: Invocation, topic: string, flags: ConsumeFlags): Promise<void> {
  const { partition, filter } = flags
  const from = asUsage(() => parseFrom(flags.from, invocation.clock.now()))
  const client = await invocation.connect()
  const consumer = client.pullConsumer({
    ...(partition === undefined ? { topics: [topic] } : { partitions: [{ topic, partition }] }),
    ...(filter === undefined ? {} : { tags: filter }),
    from,
  })
  try {
    await printMessages(invocation, consumer, flags)
  } catch (error) {
    // Being stopped is how reading without an end ends.
    if (!(invocation.signal.aborted && error instanceof MqError && error.name === 'aborted'))
      throw error
  } finally {
    await consumer.close()
  }
}

/** Until `max`, until idle, or until stopped. What was received is printed before the next is asked for. */
async function printMessages(
  invocation: Invocation,
  consumer: PullConsumer,
  { max, untilIdle }: ConsumeFlags,
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

async function printBatch(
  { output, signal }: Invocation,
  messages: readonly Message[],
): Promise<void> {
  let lines = ''
  for (const message of messages) {
    if (signal.aborted && lines === '') return
    lines += `${output.json ? JSON.stringify(messageLine(message)) : messageText(message)}\n`
    if (lines.length < writeChars) continue
    await output.raw(lines)
    lines = ''
  }
  await output.raw(lines)
}

function parseCommit(text: string): 'none' {
  if (text === 'none') return text
  if (text === 'auto')
    throw new MqError('invalid_request', 'consumer groups are not available yet: write none')
  const near = nearest(text, ['none', 'auto'])
  throw new MqError('invalid_request', near === undefined ? 'write none' : `did you mean ${near}?`)
}
