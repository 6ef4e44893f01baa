import type { Command } from 'commander'
import type { ReleaseResult } from '@popmq/client'
import { formatDuration } from '../duration.ts'
import { idsOption } from '../ids.ts'
import type { Invocation } from '../invocation.ts'
import { printOutcomes, type Refusal, tellCut, timeText } from '../outcomes.ts'
import { oneLine } from '../output.ts'
import { type Act, asOption } from '../usage.ts'
import { wholeNumber } from '../whole-number.ts'

export function addInflightCommands(program: Command, act: Act): void {
  const inflight = program
    .command('inflight')
    .description('messages that consumers have, and have not settled')
  inflight
    .command('list')
    .description('who has which message, and until when')
    .argument('<group>')
    .option('--limit <n>', 'at most this many (default 1000)', asOption(wholeNumber(1, 100_000)))
    .action(act(listInflight))
  inflight
    .command('release')
    .description('take messages from the consumers that have them: others get them at once')
    .argument('<group>')
    .addOption(idsOption('as inflight list names them').makeOptionMandatory())
    .action(act(releaseInflight))
}

async function listInflight(
  invocation: Invocation,
  group: string,
  flags: { readonly limit?: number },
): Promise<void> {
  const { signal, output, clock } = invocation
  const client = await invocation.connect()
  const told = await client
    .admin()
    .groups()
    .inflight(group, { ...flags, signal })
  const now = clock.now()
  await output.rows(told.messages, {
    head: ['id', 'topic', 'partition', 'offset', 'attempt', 'consumer', 'held', 'until'],
    cells: ({ id, topic, partition, offset, attempt, consumer, since, until }) => [
      oneLine(id),
      oneLine(topic),
      String(partition),
      String(offset),
      String(attempt),
      oneLine(consumer),
      // The clocks of two machines.
      formatDuration(Math.max(0, now - since)),
      timeText(until),
    ],
    empty: 'nothing is in flight',
  })
  if (!told.complete) tellCut(invocation, told.messages.length)
}

async function releaseInflight(
  invocation: Invocation,
  group: string,
  { ids }: { readonly ids: readonly string[] },
): Promise<void> {
  const { signal } = invocation
  const client = await invocation.connect()
  const results = await client.admin().groups().releaseInflight(group, ids, { signal })
  const refusal = ({ id, result }: ReleaseResult): Refusal | undefined => {
    if (result === 'released') return undefined
    const sentence = `${id} is not in flight: it was settled, or its lease is over`
    return {
      name: 'message_not_found',
      sentence,
      mend: `popmq inflight list ${group} names what is`,
    }
  }
  await printOutcomes(invocation, results, { refusal, empty: 'nothing was released' })
}
