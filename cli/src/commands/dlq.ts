import type { Command } from 'commander'
import type { DeadLetter, LetterResult, LetterSelection } from '@popmq/client'
import { addYes, idsOption } from '../ids.ts'
import type { Invocation } from '../invocation.ts'
import { letterDetail, letterLine, shownLetterLine } from '../letter-line.ts'
import { printOutcomes, type Refusal, timeText } from '../outcomes.ts'
import { oneLine } from '../output.ts'
import { type Act, asOption, wrongUsage } from '../usage.ts'
import { wholeNumber } from '../whole-number.ts'

export function addDlqCommands(program: Command, act: Act): void {
  const dlq = program.command('dlq').description('dead letters: messages that a group gave up')
  dlq
    .command('list')
    .description('the letters, oldest first')
    .argument('<group>')
    .option('--fingerprint <fingerprint>', 'only those of this error')
    .option('--limit <n>', 'at most this many (default: all)', asOption(wholeNumber(1)))
    .action(act(listLetters))
  dlq
    .command('groups')
    .description('how many died of which error, most first')
    .argument('<group>')
    .action(act(listErrors))
  dlq
    .command('show')
    .description('one letter: its error, its attempts, where it comes from, its value')
    .argument('<group>')
    .argument('<id>', 'as dlq list names it')
    .action(act(showLetter))
  const select = (command: Command): Command =>
    command
      .argument('<group>')
      .addOption(idsOption('these, as dlq list names them'))
      .option('--fingerprint <fingerprint>', 'all of this error')
      .option('--all', 'all of the group')
  select(addYes(dlq.command('discard')))
    .description('close letters without delivering them; they stay readable for their time')
    .action(act(discardLetters))
  select(dlq.command('restore'))
    .description('open discarded letters again')
    .action(act(restoreLetters))
}

interface ListFlags {
  readonly fingerprint?: string
  readonly limit?: number
}

/** Letters that are printed at once: there may be more than fit into memory. */
const lettersAtOnce = 1_000

async function listLetters(invocation: Invocation, group: string, flags: ListFlags): Promise<void> {
  const { signal } = invocation
  const client = await invocation.connect()
  let letters: DeadLetter[] = []
  let count = 0
  for await (const letter of client
    .admin()
    .deadLetters(group)
    .list({ ...flags, signal })) {
    letters.push(letter)
    count += 1
    if (letters.length < lettersAtOnce) continue
    await printLetters(invocation, letters)
    letters = []
  }
  if (letters.length > 0 || count === 0) await printLetters(invocation, letters)
}

function printLetters({ output }: Invocation, letters: readonly DeadLetter[]): Promise<void> {
  return output.rows(letters.map(letterLine), {
    head: ['id', 'died', 'state', 'attempts', 'origin', 'key', 'fingerprint', 'error'],
    cells: (letter) => [
      oneLine(letter.id),
      timeText(letter.diedAt),
      letter.state,
      String(letter.attempts),
      oneLine(`${letter.topic}-${letter.partition}@${letter.offset}`),
      oneLine(letter.key ?? '-'),
      oneLine(letter.fingerprint),
      errorText(letter.errorType, letter.error),
    ],
    empty: 'no dead letters',
  })
}

async function listErrors(invocation: Invocation, group: string): Promise<void> {
  const { signal, output } = invocation
  const client = await invocation.connect()
  const { groups, complete } = await client.admin().deadLetters(group).groups({ signal })
  const lines = groups.map(({ fingerprint, errorType, error, count, open, firstAt, lastAt }) => {
    const what = { fingerprint, errorType: errorType ?? null, error: error ?? null }
    return { ...what, count, open, firstAt, lastAt }
  })
  await output.rows(lines, {
    head: ['fingerprint', 'count', 'open', 'first', 'last', 'error'],
    cells: ({ fingerprint, errorType, error, count, open, firstAt, lastAt }) => [
      oneLine(fingerprint),
      String(count),
      String(open),
      timeText(firstAt),
      timeText(lastAt),
      errorText(errorType, error),
    ],
    empty: 'no dead letters',
  })
  if (!complete) invocation.log('warn').warn('list_is_cut', { shown: lines.length })
}

async function showLetter(invocation: Invocation, group: string, id: string): Promise<void> {
  const { signal, output } = invocation
  const client = await invocation.connect()
  const letter = await client.admin().deadLetters(group).show(id, { signal })
  await output.object(shownLetterLine(letter), () => letterDetail(letter))
}

interface SelectFlags {
  readonly ids?: readonly string[]
  readonly fingerprint?: string
  readonly all?: boolean
  readonly yes?: boolean
}

async function discardLetters(
  invocation: Invocation,
  group: string,
  flags: SelectFlags,
): Promise<void> {
  const { letters, text } = selection(flags)
  await invocation.confirm(`Discard ${text} of group ${group}?`, flags)
  const client = await invocation.connect()
  const { signal } = invocation
  const results = await client.admin().deadLetters(group).discard(letters, { signal })
  await printResults(invocation, group, { results, empty: 'there was nothing to discard' })
}

async function restoreLetters(
  invocation: Invocation,
  group: string,
  flags: SelectFlags,
): Promise<void> {
  const { letters } = selection(flags)
  const client = await invocation.connect()
  const { signal } = invocation
  const results = await client.admin().deadLetters(group).restore(letters, { signal })
  await printResults(invocation, group, { results, empty: 'there was nothing to restore' })
}

function selection({ ids, fingerprint, all }: SelectFlags): {
  letters: LetterSelection
  text: string
} {
  const given = [ids, fingerprint, all].filter((flag) => flag !== undefined).length
  if (given !== 1) {
    const found = given === 0 ? 'there is none' : `there are ${given}`
    throw wrongUsage(`give exactly one of --ids, --fingerprint and --all: ${found}`)
  }
  if (ids !== undefined) {
    const what = ids.length === 1 ? `dead letter ${ids[0]}` : `${ids.length} dead letters`
    return { letters: ids, text: what }
  }
  if (fingerprint === undefined) return { letters: 'all', text: 'all open dead letters' }
  return { letters: { fingerprint }, text: `all open dead letters of error ${fingerprint}` }
}

function printResults(
  invocation: Invocation,
  group: string,
  { results, empty }: { results: readonly LetterResult[]; empty: string },
): Promise<void> {
  const refusal = ({ id, result }: LetterResult): Refusal | undefined => {
    switch (result) {
      case 'done':
      case 'already':
        return undefined
      case 'reopened': {
        const sentence = `dead letter ${id} is reopened: its message is delivered again since the group was reset`
        return { name: 'invalid_request', sentence, mend: 'nothing can be decided about it' }
      }
      case 'unknown': {
        const mend = `popmq dlq list ${group} names what there is`
        return { name: 'message_not_found', sentence: `there is no dead letter ${id}`, mend }
      }
    }
  }
  return printOutcomes(invocation, results, { refusal, empty })
}

function errorText(type: string | null, error: string | null): string {
  const words = [type, error].filter((word) => word !== null)
  return words.length === 0 ? '-' : shortLine(words.join(': '))
}

const mostErrorChars = 100

/** A message may be thousands of characters long: a table would fall apart. */
function shortLine(text: string): string {
  const line = oneLine(text.slice(0, 2 * mostErrorChars))
  return line.length > mostErrorChars ? `${line.slice(0, mostErrorChars - 1)}…` : line
}
