import { type Command, Option } from 'commander'
import type { DelayedMessage, DelayResult } from '@popmq/client'
import { addYes } from '../ids.ts'
import type { Invocation } from '../invocation.ts'
import { messageDetail, messageLine } from '../message-line.ts'
import { parseMoment } from '../moment.ts'
import { printOutcomes, type Refusal, tellCut, timeText } from '../outcomes.ts'
import { oneLine } from '../output.ts'
import { type Act, asOption, asUsage } from '../usage.ts'
import { wholeNumber } from '../whole-number.ts'

export function addDelayCommands(program: Command, act: Act): void {
  const delay = program
    .command('delay')
    .description('delayed messages: sent, and not visible before their time')
  delay
    .command('list')
    .description('what waits in a topic, soonest first')
    .argument('<topic>')
    .option('--limit <n>', 'at most this many (default 1000)', asOption(wholeNumber(1, 100_000)))
    .action(act(listDelayed))
  delay
    .command('show')
    .description('one of them, with its value')
    .argument('<id>', 'as delay list and the receipt name it')
    .action(act(showDelayed))
  addYes(delay.command('cancel'))
    .description('have it never delivered')
    .argument('<id>', 'as delay list names it')
    .action(act(cancelDelayed))
  delay
    .command('move')
    .description('have it delivered at another time')
    .argument('<id>', 'as delay list names it')
    .addOption(
      new Option(
        '--at <time>',
        '2026-03-01T12:00:00Z, +1h; a time that is past: at once',
      ).makeOptionMandatory(),
    )
    .action(act(moveDelayed))
}

async function listDelayed(
  invocation: Invocation,
  topic: string,
  flags: { readonly limit?: number },
): Promise<void> {
  const { signal, output } = invocation
  const client = await invocation.connect()
  const told = await client
    .admin()
    .delays()
    .list(topic, { ...flags, signal })
  await output.rows(told.messages.map(delayedLine), {
    head: ['id', 'topic', 'partition', 'due', 'bytes'],
    cells: ({ id, topic: name, partition, dueAt, bytes }) => [
      oneLine(id),
      oneLine(name),
      String(partition),
      timeText(dueAt),
      String(bytes),
    ],
    empty: 'nothing is delayed',
  })
  if (!told.complete) {
    await output.text(`${told.messages.length} of ${told.total}`)
    tellCut(invocation, told.messages.length)
  }
}

async function showDelayed(invocation: Invocation, id: string): Promise<void> {
  const { signal, output } = invocation
  const client = await invocation.connect()
  const { message, ...delayed } = await client.admin().delays().show(id, { signal })
  const line = { ...delayedLine(delayed), message: messageLine(message) }
  await output.object(
    line,
    () => `${oneLine(`delayed ${id}, due ${timeText(delayed.dueAt)}`)}\n${messageDetail(message)}`,
  )
}

async function cancelDelayed(
  invocation: Invocation,
  id: string,
  flags: { readonly yes?: boolean },
): Promise<void> {
  const { signal } = invocation
  await invocation.confirm(`Have the delayed message ${id} never delivered?`, flags)
  const client = await invocation.connect()
  const result = await client.admin().delays().cancel(id, { signal })
  await printChange(invocation, { id, result })
}

async function moveDelayed(
  invocation: Invocation,
  id: string,
  { at }: { readonly at: string },
): Promise<void> {
  const { signal, clock, output } = invocation
  const dueAt = asUsage(() => parseMoment(at, clock.now()))
  const client = await invocation.connect()
  const moved = await client.admin().delays().move(id, dueAt, { signal })
  await printChange(invocation, { id, ...moved })
  if (moved.dueAt !== undefined) await output.text(`due ${timeText(moved.dueAt)}`)
}

interface Change {
  readonly id: string
  readonly result: DelayResult
  readonly dueAt?: number
}

function printChange(invocation: Invocation, change: Change): Promise<void> {
  const refusal = ({ id, result }: Change): Refusal | undefined => {
    switch (result) {
      case 'done':
        return undefined
      case 'delivered': {
        const sentence = `the delayed message ${id} was delivered already`
        return { name: 'message_not_found', sentence, mend: 'nothing: it cannot be called back' }
      }
      case 'unknown': {
        const mend = 'popmq delay list TOPIC names what waits'
        return { name: 'message_not_found', sentence: `there is no delayed message ${id}`, mend }
      }
    }
  }
  return printOutcomes(invocation, [change], { refusal, empty: 'nothing was changed' })
}

function delayedLine({ id, topic, partition, dueAt, bytes }: DelayedMessage) {
  return { id, topic, partition, dueAt, bytes }
}
