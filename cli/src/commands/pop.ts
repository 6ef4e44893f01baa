import type { Command } from 'commander'
import { sleep } from '@popmq/kit'
import { asMqError, isMqError, limits, type MqError } from '@popmq/protocol'
import type { PopConsumer, PoppedMessage } from '@popmq/client'
import { durationBetween } from '../duration.ts'
import type { Invocation } from '../invocation.ts'
import { errorLine } from '../output.ts'
import { messageText, poppedLine } from '../message-line.ts'
import { type Act, asOption, wrongUsage } from '../usage.ts'
import { wholeNumber } from '../whole-number.ts'
import { type MessageForms, printForms } from './print-batch.ts'
import { PrintedSettling, type Verdict } from './printed-settling.ts'

export function addPopCommand(program: Command, act: Act): void {
  program
    .command('pop')
    .description('take messages of a topic under a lease, print them, and settle what was printed')
    .argument('<topic>')
    .requiredOption('--group <group>', 'the group that pops; made by its first use')
    .option('--ack', 'done with a message once its line was written')
    .option('--nack <reason>', 'give it back as failed: it comes again, or is dead at last')
    .option(
      '--delay <time>',
      'with --nack: when it comes again (default: by the back-off of the group)',
      asOption(durationBetween(0, limits.delayMs)),
    )
    .option('--hold', 'neither: it comes again when its lease is over; its handle is printed')
    .option('--max <n>', 'end after this many messages', asOption(wholeNumber(1)))
    .option(
      '--wait <time>',
      'how long to wait for a message; with --max the end when none came (default 20s)',
      asOption(durationBetween(0, longestWaitMs)),
    )
    .option(
      '--invisible <time>',
      'how long a message is hidden from the others, up to 12h (default: as the group says, 30s)',
      asOption(durationBetween(1, limits.invisibleMs)),
    )
    .option(
      '--until-idle <time>',
      'end when no message came for this long',
      asOption(durationBetween(1, longestWaitMs)),
    )
    .action(act(pop))
}

interface PopFlags {
  readonly group: string
  readonly ack?: boolean
  readonly nack?: string
  readonly delay?: number
  readonly hold?: boolean
  readonly max?: number
  readonly wait?: number
  readonly invisible?: number
  readonly untilIdle?: number
}

const longestWaitMs = 86_400_000
const defaultWaitMs = 20_000
/** Without `--max` an empty wait ends nothing: a short one would only ask more often. */
const shortestEndlessWaitMs = 1_000
/** Leases run while lines are read: few at once. */
const mostPerPop = 256
/** A broker that restarts is back by then; later its leases are mostly over. */
const settleWithinMs = 30_000
const outagePauseMs = 1_000

async function pop(invocation: Invocation, topic: string, flags: PopFlags): Promise<void> {
  const verdict = verdictOf(flags)
  const { group, invisible } = flags
  try {
    const client = await invocation.connect()
    const consumer = client.popConsumer({
      group,
      topics: [topic],
      settleWithinMs,
      ...(invisible === undefined ? {} : { invisibleMs: invisible }),
    })
    const settling = new PrintedSettling(invocation, consumer, verdict)
    try {
      await printPopped(invocation, { consumer, settling, forms: formsOf(verdict) }, flags)
    } finally {
      await settling.settled()
      await consumer.close()
    }
    settling.throwError()
  } catch (error) {
    // Being stopped is how popping without an end ends.
    if (!(invocation.signal.aborted && isMqError(error, 'aborted'))) throw error
  }
}

interface Popping {
  readonly consumer: PopConsumer
  readonly settling: PrintedSettling
  readonly forms: MessageForms<PoppedMessage>
}

/** Until `max`, until a whole wait was empty (with `max`), until idle, or until stopped. */
async function printPopped(
  invocation: Invocation,
  { consumer, settling, forms }: Popping,
  flags: PopFlags,
): Promise<void> {
  const { signal } = invocation
  const waits = new Waits(flags)
  let left = flags.max ?? Number.POSITIVE_INFINITY
  while (left > 0 && !signal.aborted && settling.error === undefined) {
    const { waitMs } = waits
    const messages = await received(invocation, {
      asking: consumer.receive({ max: Math.min(left, mostPerPop), waitMs, signal }),
      isLast: waits.isLast,
    })
    if (messages === undefined) {
      waits.unanswered(waitMs)
    } else if (messages.length === 0) {
      if (!waits.empty(waitMs)) continue
      const reason = consumer.lastReason
      if (reason !== undefined) invocation.log('warn').warn('nothing_popped', { reason })
      return
    } else {
      waits.filled()
      left -= messages.length
      await settling.print(messages, () => printForms(invocation, messages, forms))
    }
  }
}

/** @returns undefined when no broker answered, after a pause, unless that is the last wait */
async function received(
  invocation: Invocation,
  { asking, isLast }: { asking: Promise<readonly PoppedMessage[]>; isLast: boolean },
): Promise<readonly PoppedMessage[] | undefined> {
  const { signal, clock } = invocation
  try {
    return await asking
  } catch (thrown) {
    const error = asMqError(thrown)
    if (signal.aborted || isLast || !isOutage(error)) throw thrown
    invocation.log('warn').warn('not_answered', { error: errorLine(error) })
    await sleep(clock, outagePauseMs, signal)
    return undefined
  }
}

function isOutage(error: MqError): boolean {
  return error.retriable !== 'no' && !isMqError(error, 'internal', 'aborted')
}

/** How long to wait for the next message, and whether waiting is over. */
class Waits {
  readonly #wholeMs: number
  readonly #untilIdleMs: number
  /** With `--max`: an empty wait is the end, and one that nobody answers a failure. */
  readonly #isOnce: boolean
  #quietMs = 0
  #unansweredMs = 0

  constructor({ wait = defaultWaitMs, untilIdle, max }: PopFlags) {
    this.#isOnce = max !== undefined
    this.#wholeMs = this.#isOnce ? wait : Math.max(wait, shortestEndlessWaitMs)
    this.#untilIdleMs = untilIdle ?? Number.POSITIVE_INFINITY
  }

  get waitMs(): number {
    return Math.min(this.#wholeMs, this.#untilIdleMs - this.#quietMs)
  }

  /** Whether no answer now is a failure. */
  get isLast(): boolean {
    return this.#isOnce && this.#unansweredMs + this.waitMs >= this.#wholeMs
  }

  filled(): void {
    this.#quietMs = 0
    this.#unansweredMs = 0
  }

  /** @returns whether it is over */
  empty(waitedMs: number): boolean {
    this.#quietMs += waitedMs
    this.#unansweredMs = 0
    return this.#quietMs >= this.#untilIdleMs || (this.#isOnce && waitedMs >= this.#wholeMs)
  }

  /** That nobody answers does not mean that there is nothing. */
  unanswered(waitedMs: number): void {
    this.#quietMs = 0
    this.#unansweredMs += waitedMs
  }
}

function verdictOf({ ack, nack, hold, delay }: PopFlags): Verdict {
  const given = [ack === true, nack !== undefined, hold === true].filter(Boolean).length
  if (given !== 1) {
    const found = given === 0 ? 'there is none' : `there are ${given}`
    throw wrongUsage(`give exactly one of --ack, --nack and --hold: ${found}`)
  }
  if (delay !== undefined && nack === undefined) throw wrongUsage('--delay goes with --nack')
  if (nack === undefined) return { kind: hold === true ? 'hold' : 'ack' }
  return { kind: 'nack', error: nack, ...(delay === undefined ? {} : { delayMs: delay }) }
}

/** Whoever holds messages needs their handles. */
function formsOf({ kind }: Verdict): MessageForms<PoppedMessage> {
  const text = (message: PoppedMessage): string => `${messageText(message)} ${message.handle}`
  return { line: poppedLine, text: kind === 'hold' ? text : messageText }
}
