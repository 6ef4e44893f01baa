import { hostname } from 'node:os'
import { type Command, Option } from 'commander'
import type { GroupTopic } from '@popmq/client'
import type { Invocation } from '../invocation.ts'
import { parseFrom } from '../moment.ts'
import { oneLine } from '../output.ts'
import { type Act, asUsage } from '../usage.ts'
import { showLag } from './group-lag.ts'

/** What is said of a group's progress, and done to it. */
export function addProgressCommands(group: Command, act: Act): void {
  group
    .command('lag')
    .description(
      'how far behind the group is, and how many messages are in which state, with the oldest age',
    )
    .argument('<group>')
    .action(act(showLag))
  group
    .command('reset')
    .description(
      'set the progress of a topic, also back: the group goes on there. What it has in hand cannot be settled any more',
    )
    .argument('<group>')
    .argument('<topic>')
    .addOption(
      new Option(
        '--to <position>',
        'earliest, latest, an offset, or a time (2026-03-01T12:00:00Z, -1h)',
      ).makeOptionMandatory(),
    )
    .option('--dry-run', 'tell what would be done')
    .option('--yes', 'do not ask on a terminal')
    .action(act(resetProgress))
  for (const [name, does] of [
    ['pause', 'deliver nothing of a topic, or of all topics of the group, until resumed'],
    ['resume', 'deliver again'],
  ] as const) {
    group
      .command(name)
      .description(does)
      .argument('<group>')
      .argument('[topic]')
      .action(
        act((invocation, of: string, topic: string | undefined) =>
          setPaused(invocation, name, { of, topic }),
        ),
      )
  }
}

interface ResetFlags {
  readonly to: string
  readonly dryRun?: boolean
  readonly yes?: boolean
}

// oxlint-disable-next-line max-params -- commander gives arguments and flags in a row
async function resetProgress(
  invocation: Invocation,
  name: string,
  topic: string,
  flags: ResetFlags,
): Promise<void> {
  const { signal, clock, output } = invocation
  const to = asUsage(() => parseFrom(flags.to, clock.now()))
  const dryRun = flags.dryRun ?? false
  if (!dryRun) {
    const question = `Set the progress of group ${name} in topic ${topic} to ${flags.to}?`
    await invocation.confirm(question, flags)
  }
  const client = await invocation.connect()
  const options = { to, dryRun, signal, operator: operatorName() }
  const moves = await client.admin().groups().resetProgress(name, topic, options)
  const lines = moves.map(({ partition, from, to: at }) => {
    return { topic, partition, from: from ?? null, to: at, dryRun }
  })
  await output.rows(lines, {
    head: ['partition', 'from', 'to'],
    cells: ({ partition, from, to: at }) => [
      String(partition),
      from === null ? '-' : String(from),
      String(at),
    ],
    empty: 'nothing to set',
  })
  if (dryRun) await output.text('nothing was changed')
}

async function setPaused(
  invocation: Invocation,
  how: 'pause' | 'resume',
  { of, topic }: { readonly of: string; readonly topic: string | undefined },
): Promise<void> {
  const { signal } = invocation
  const groups = (await invocation.connect()).admin().groups()
  const options = topic === undefined ? { signal } : { topic, signal }
  const topics = await (how === 'pause' ? groups.pause(of, options) : groups.resume(of, options))
  await invocation.output.rows(topics.map(pausedLine), {
    head: ['topic', 'state'],
    cells: ({ topic: name, paused }) => [oneLine(name), paused ? 'paused' : 'delivering'],
    empty: 'the group reads no topics',
  })
}

function pausedLine({ name, isPaused }: GroupTopic) {
  return { topic: name, paused: isPaused }
}

/** Who asks, for the record: the user of this machine. */
function operatorName(): string {
  const uid = process.getuid?.()
  const user = process.env['USER'] ?? (uid === undefined ? 'somebody' : `user ${uid}`)
  return `${user}@${hostname()}`.slice(0, 100)
}
