import type { Command } from 'commander'
import type { RetryChangeResult } from '@popmq/client'
import { addYes, idsOption } from '../ids.ts'
import type { Invocation } from '../invocation.ts'
import { printOutcomes, type Refusal, tellCut, timeText } from '../outcomes.ts'
import { oneLine } from '../output.ts'
import { type Act, asOption } from '../usage.ts'
import { wholeNumber } from '../whole-number.ts'

export function addRetryCommands(program: Command, act: Act): void {
  const retry = program
    .command('retry')
    .description('messages that failed and wait for their next delivery')
  const ids = () => idsOption('as retry list names them').makeOptionMandatory()
  retry
    .command('list')
    .description('what waits, soonest first')
    .argument('<group>')
    .option('--limit <n>', 'at most this many (default 1000)', asOption(wholeNumber(1, 100_000)))
    .action(act(listRetries))
  retry
    .command('now')
    .description('have them delivered now')
    .argument('<group>')
    .addOption(ids())
    .action(
      act((invocation, group: string, flags: ChangeFlags) => retryNow(invocation, group, flags)),
    )
  addYes(retry.command('dead'))
    .description('give them up: they go to the dead letters')
    .argument('<group>')
    .addOption(ids())
    .action(act(retryDead))
}

interface ChangeFlags {
  readonly ids: readonly string[]
  readonly yes?: boolean
}

async function listRetries(
  invocation: Invocation,
  group: string,
  flags: { readonly limit?: number },
): Promise<void> {
  const { signal, output } = invocation
  const client = await invocation.connect()
  const told = await client
    .admin()
    .groups()
    .retries(group, { ...flags, signal })
  await output.rows(told.messages, {
    head: ['id', 'topic', 'partition', 'offset', 'attempts', 'state', 'due', 'fingerprint'],
    cells: ({ id, topic, partition, offset, attempts, state, dueAt, fingerprint }) => [
      oneLine(id),
      oneLine(topic),
      String(partition),
      String(offset),
      String(attempts),
      state,
      timeText(dueAt),
      oneLine(fingerprint ?? '-'),
    ],
    empty: 'nothing waits to be retried',
  })
  if (!told.complete) tellCut(invocation, told.messages.length)
}

async function retryNow(
  invocation: Invocation,
  group: string,
  { ids }: ChangeFlags,
): Promise<void> {
  const { signal } = invocation
  const client = await invocation.connect()
  const results = await client.admin().groups().retryNow(group, ids, { signal })
  await printChanges(invocation, group, results)
}

async function retryDead(invocation: Invocation, group: string, flags: ChangeFlags): Promise<void> {
  const { ids } = flags
  const { signal } = invocation
  const what = ids.length === 1 ? `retry ${ids[0]}` : `${ids.length} retries`
  await invocation.confirm(`Give up ${what} of group ${group}?`, flags)
  const client = await invocation.connect()
  const results = await client.admin().groups().retryDead(group, ids, { signal })
  await printChanges(invocation, group, results)
}

function printChanges(
  invocation: Invocation,
  group: string,
  results: readonly RetryChangeResult[],
): Promise<void> {
  const refusal = ({ id, result }: RetryChangeResult): Refusal | undefined => {
    switch (result) {
      case 'done':
        return undefined
      case 'busy': {
        const sentence = `retry ${id} is with a consumer, or being moved`
        const mend = `try again when its lease is over, or first: popmq inflight release ${group} --ids ${id}`
        return { name: 'invalid_request', sentence, mend }
      }
      case 'unknown': {
        const mend = `popmq retry list ${group} names what waits`
        return { name: 'message_not_found', sentence: `there is no retry ${id}`, mend }
      }
    }
  }
  return printOutcomes(invocation, results, { refusal, empty: 'nothing was changed' })
}
