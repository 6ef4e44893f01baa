import { type Command, Option } from 'commander'
import { type AckLevel, ackLevels, limits, MqError } from '@popmq/protocol'
import type { Receipt } from '@popmq/client'
import { parseAcks } from '../ack-level.ts'
import { durationBetween } from '../duration.ts'
import type { Invocation } from '../invocation.ts'
import { type LineMessageOptions, lineMessage } from '../line-message.ts'
import { parseMoment } from '../moment.ts'
import { Pace } from '../pace.ts'
import { parsePairs } from '../pair.ts'
import { Progress } from '../progress.ts'
import { parseRate } from '../rate.ts'
import { Sending } from '../sending.ts'
import { type LineBatch, readLines } from '../text-lines.ts'
import { untilAborted } from '../until-aborted.ts'
import { type Act, asOption, asUsage, collect, wrongUsage } from '../usage.ts'
import { wholeNumber } from '../whole-number.ts'

export function addProduceCommand(program: Command, act: Act): void {
  const lastPartition = limits.partitionsPerTopic - 1
  program
    .command('produce')
    .description('send messages: one JSON, or each line of a file')
    .argument('<topic>')
    .argument('[json]', 'one message')
    .option('--file <file>', 'a file of JSON lines, or - for stdin')
    .option('--key <field>', 'the field whose value is the key; a line without it is refused')
    .option('--tag <field>', 'the field whose value is the tag')
    .option(
      '--dedup <field>',
      'the field whose value is the dedup id; a line without it is refused',
    )
    .option('--header <name=value>', 'a header of every message; may be given again', collect)
    .option('--partition <n>', 'send to this partition', asOption(wholeNumber(0, lastPartition)))
    .option(
      '--acks <level>',
      `${ackLevels.join(', ')} (default: the strongest there is)`,
      asOption(parseAcks),
    )
    .option(
      '--delay <time>',
      'let the messages become visible so long after they are stored, up to 366d',
      asOption(durationBetween(0, limits.delayMs)),
    )
    .option(
      '--at <time>',
      'let them become visible then (2026-03-01T12:00:00Z, +1h); at once when that is past',
    )
    .option('--rate <n/s>', 'at most so many messages', asOption(parseRate))
    .option(
      '--batch <n>',
      'at most so many messages in a request',
      asOption(wholeNumber(1, limits.messagesPerRun)),
    )
    .addOption(
      new Option(
        '--deliver-within <time>',
        'how long the delivery of a message is tried, up to 15m',
      )
        .argParser(asOption(durationBetween(1, limits.deliverWithinMs)))
        .default(120_000, '2m'),
    )
    .action(act(produce))
}

interface ProduceFlags {
  readonly file?: string
  readonly key?: string
  readonly tag?: string
  readonly dedup?: string
  readonly header?: readonly string[]
  readonly partition?: number
  readonly acks?: AckLevel
  readonly delay?: number
  readonly at?: string
  readonly rate?: number
  readonly batch?: number
  readonly deliverWithin: number
}

/** A line may be as long as the longest message, and some spaces more. */
const mostLineBytes = limits.mostMessageBytes + 65_536
const defaultBatch = 1_000

// oxlint-disable-next-line max-params -- commander gives arguments and flags in a row
async function produce(
  invocation: Invocation,
  topic: string,
  json: string | undefined,
  flags: ProduceFlags,
): Promise<void> {
  if ((json === undefined) === (flags.file === undefined)) {
    throw wrongUsage(
      `give either one message or --file: ${json === undefined ? 'there is neither' : 'there are both'}`,
    )
  }
  const { output, clock, signal } = invocation
  const options = { ...lineOptions(topic, flags), ...dueOptions(flags, clock.now()) }
  const source = await openSource(invocation, json, flags)
  const { acks, batch, deliverWithin } = flags
  const client = await invocation.connect()
  const producer = client.producer({
    ...(acks === undefined ? {} : { acks }),
    ...(batch === undefined ? {} : { batchMessages: batch }),
    deliverWithinMs: deliverWithin,
  })
  const sending = new Sending(producer)
  const progress = new Progress(invocation.surroundings.stderr, clock)
  const startedMs = clock.monotonic()
  let problem: MqError | undefined
  try {
    await sendLines(source, { options, flags, sending, progress, clock, signal })
  } catch (error) {
    if (!(error instanceof MqError)) throw error
    problem = error
  } finally {
    await sending.drain()
    await producer.close()
    await progress.clear()
  }
  const seconds = Math.round(clock.monotonic() - startedMs) / 1_000
  const counts = { ...sending.counts, seconds }
  if (json !== undefined && sending.lastReceipt !== undefined)
    await printReceipt(invocation, sending.lastReceipt)
  await output.object(
    counts,
    () => `sent ${counts.sent}, acked ${counts.acked}, failed ${counts.failed} in ${seconds} s`,
  )
  const failure = sending.firstError ?? problem
  if (failure !== undefined) throw failure
}

interface Source {
  readonly batches: AsyncIterable<LineBatch>
  readonly totalBytes: number | undefined
  /** Names a line in errors. */
  readonly where: (lineNumber: number) => string
}

async function openSource(
  { surroundings }: Invocation,
  json: string | undefined,
  { file }: ProduceFlags,
): Promise<Source> {
  if (file === undefined) {
    const lines = [{ number: 1, text: json ?? '' }]
    return {
      batches: oneBatch({ lines, bytesRead: 0 }),
      totalBytes: undefined,
      where: () => 'the message',
    }
  }
  const { chunks, totalBytes } = await surroundings.openInput(file)
  return {
    batches: readLines(chunks, mostLineBytes),
    totalBytes,
    where: (number) => `line ${number}`,
  }
}

async function* oneBatch(batch: LineBatch): AsyncGenerator<LineBatch> {
  yield batch
}

interface SendLines {
  readonly options: LineMessageOptions
  readonly flags: ProduceFlags
  readonly sending: Sending
  readonly progress: Progress
  readonly clock: Invocation['clock']
  readonly signal: AbortSignal
}

/** @throws MqError at the first line that is none, after the lines before it were sent; `aborted` when stopped */
async function sendLines({ batches, totalBytes, where }: Source, given: SendLines): Promise<void> {
  const { options, flags, sending, progress, clock, signal } = given
  const pace = new Pace(clock, flags.rate ?? Number.POSITIVE_INFINITY)
  const most = Math.min(flags.batch ?? defaultBatch, pace.sliceCount)
  for await (const { lines, bytesRead } of untilAborted(batches, signal)) {
    for (
      let start = 0;
      start < lines.length && !sending.isHopeless && !signal.aborted;
      start += most
    ) {
      const slice = lines.slice(start, start + most)
      const { messages, problem } = readMessages(slice, where, options)
      await pace.take(messages.length, signal)
      if (signal.aborted) break
      if (messages.length > 0) await sending.send(messages, lengthOf(slice))
      await progress.show({ count: sending.counts.acked, bytes: bytesRead, totalBytes })
      if (problem !== undefined) throw problem
    }
    if (sending.isHopeless) return
    if (signal.aborted) break
  }
  if (signal.aborted)
    throw new MqError(
      'aborted',
      `stopped before the input ended, after ${sending.counts.sent} messages`,
    )
}

/** The messages of `lines` up to the first that is none, and what is wrong with that one. */
function readMessages(
  lines: LineBatch['lines'],
  where: Source['where'],
  options: LineMessageOptions,
): { messages: ReturnType<typeof lineMessage>[]; problem: MqError | undefined } {
  const messages = []
  for (const { number, text } of lines) {
    try {
      messages.push(lineMessage(text, where(number), options))
    } catch (error) {
      if (error instanceof MqError) return { messages, problem: error }
      throw error
    }
  }
  return { messages, problem: undefined }
}

function lengthOf(lines: LineBatch['lines']): number {
  return lines.reduce((sum, { text }) => sum + text.length, 0)
}

async function printReceipt({ output }: Invocation, receipt: Receipt): Promise<void> {
  const { topic, partition, offset, id, acks, duplicate, appendedAt, delayId } = receipt
  const delayed = delayId === undefined ? {} : { delayId }
  const line = { topic, partition, offset, id, acks, duplicate, appendedAt, ...delayed }
  const again = duplicate ? ', sent before' : ''
  const place = delayId === undefined ? `@${offset}` : ` delayed as ${delayId}`
  await output.object(line, () => `${topic}-${partition}${place} ${id} (acks ${acks}${again})`)
}

/** When the messages become visible, unless at once. */
function dueOptions(
  { delay, at }: ProduceFlags,
  nowMs: number,
): Pick<LineMessageOptions, 'delayMs' | 'deliverAt'> {
  if (at === undefined) return delay === undefined ? {} : { delayMs: delay }
  if (delay !== undefined) throw wrongUsage('give either --delay or --at: there are both')
  const deliverAt = asUsage(() => parseMoment(at, nowMs))
  if (deliverAt > nowMs + limits.delayMs) {
    throw wrongUsage(`--at: ${JSON.stringify(at)} is more than 366d ahead`)
  }
  return { deliverAt }
}

function lineOptions(
  topic: string,
  { key, tag, dedup, header, partition }: ProduceFlags,
): LineMessageOptions {
  return {
    topic,
    ...(key === undefined ? {} : { key }),
    ...(tag === undefined ? {} : { tag }),
    ...(dedup === undefined ? {} : { dedup }),
    ...(partition === undefined ? {} : { partition }),
    ...(header === undefined ? {} : { headers: asUsage(() => parsePairs(header)) }),
  }
}
