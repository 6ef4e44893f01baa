import type { Command } from 'commander'
import type { GroupMember, GroupOverview, GroupPolicyDescription } from '@popmq/client'
import type { GroupRebalance, GroupTopic } from '@popmq/client'
import { formatDuration } from '../duration.ts'
import type { Invocation } from '../invocation.ts'
import { oneLine } from '../output.ts'
import { checkKeys, parsePairs } from '../pair.ts'
import { type Act, asOption, asUsage } from '../usage.ts'
import { wholeNumber } from '../whole-number.ts'
import { placesText } from './group-lag.ts'
import { addProgressCommands } from './group-progress.ts'

const configKeys = [
  ...['maxAttempts', 'backoff', 'invisible', 'order', 'onFailure', 'deadRetention', 'outageBrake'],
  ...['assignor', 'sessionTimeout', 'maxInFlight', 'maxInFlightPerConsumer'],
]

export function addGroupCommands(program: Command, act: Act): void {
  const group = program.command('group').description('look at consumer groups and change them')
  group.command('list').description('name all groups').action(act(listGroups))
  group
    .command('describe')
    .description('one group: its policy, topics and members')
    .argument('<group>')
    .action(act(describeGroup))
  group
    .command('config')
    .description('show the policy, or change keys of it; makes the group if it is new')
    .argument('<group>')
    .argument('[key=value...]', `keys: ${configKeys.join(', ')}`)
    .action(act(configGroup))
  group
    .command('members')
    .description('who is in the group, and what each holds')
    .argument('<group>')
    .action(act(listMembers))
  group
    .command('rebalances')
    .description('the latest rebalances, newest first')
    .argument('<group>')
    .option('--limit <n>', 'at most this many (default 20)', asOption(wholeNumber(1, 100)))
    .action(act(listRebalances))
  addProgressCommands(group, act)
  group
    .command('delete')
    .description('delete a group without members: its progress, its retries and its dead letters')
    .argument('<group>')
    .option('--yes', 'do not ask on a terminal')
    .action(act(deleteGroup))
}

async function listGroups(invocation: Invocation): Promise<void> {
  const client = await invocation.connect()
  const groups = await client.admin().groups().list({ signal: invocation.signal })
  await invocation.output.rows(groups, {
    head: ['group', 'state', 'members', 'topics'],
    cells: ({ name, state, members, topics }) => [
      oneLine(name),
      state,
      String(members),
      topics.map(topicText).join(', '),
    ],
    empty: 'no groups yet: popmq consume TOPIC --group NAME, or popmq pop',
  })
}

async function describeGroup(invocation: Invocation, name: string): Promise<void> {
  const { output, signal } = invocation
  const client = await invocation.connect()
  const { memberList, progress, ...group } = await client
    .admin()
    .groups()
    .describe(name, { signal })
  if (output.json) {
    return output.raw(`${JSON.stringify({ ...group, memberList, progress })}\n`)
  }
  await output.text(groupText(group))
  await output.text(policyText(group.policy))
  const isPopped = group.topics.length > 0 && group.topics.every(({ mode }) => mode === 'pop')
  const empty = isPopped ? 'no members: messages are popped by whoever asks' : 'no members'
  await printMembers(invocation, memberList, empty)
}

async function configGroup(invocation: Invocation, name: string, words: string[]): Promise<void> {
  const config = asUsage(() => {
    const pairs = parsePairs(words)
    checkKeys(Object.keys(pairs), configKeys)
    return pairs
  })
  const { output, signal } = invocation
  const groups = (await invocation.connect()).admin().groups()
  const policy =
    words.length === 0
      ? await groups.config(name, { signal })
      : await groups.setConfig(name, config, { signal })
  await output.object(policy, () => policyText(policy))
}

async function listMembers(invocation: Invocation, name: string): Promise<void> {
  const client = await invocation.connect()
  const members = await client.admin().groups().members(name, { signal: invocation.signal })
  await printMembers(invocation, members)
}

function printMembers(
  invocation: Invocation,
  members: readonly GroupMember[],
  empty = 'no members',
): Promise<void> {
  return invocation.output.rows(members, {
    head: ['member', 'id', 'state', 'client', 'address', 'partitions', 'giving back'],
    cells: ({ member, memberId, state, client, remote, partitions, revoking }) => [
      oneLine(member ?? '-'),
      oneLine(memberId),
      state,
      oneLine(client ?? '-'),
      oneLine(remote),
      placesText(partitions),
      placesText(revoking),
    ],
    empty,
  })
}

async function listRebalances(
  invocation: Invocation,
  name: string,
  { limit }: { readonly limit?: number },
): Promise<void> {
  const { signal } = invocation
  const client = await invocation.connect()
  const options = limit === undefined ? { signal } : { limit, signal }
  const rebalances = await client.admin().groups().rebalances(name, options)
  await invocation.output.rows(rebalances, {
    head: ['number', 'time', 'members', 'partitions', 'moves', 'longest dark', 'assignor', 'why'],
    cells: (rebalance) => [
      String(rebalance.number),
      new Date(rebalance.at).toISOString(),
      String(rebalance.members),
      String(rebalance.partitions),
      String(rebalance.moves.length),
      darkText(rebalance),
      oneLine(rebalance.assignor),
      oneLine([...rebalance.triggers, rebalance.fallback ?? ''].join(' ')),
    ],
    empty: 'no rebalances yet',
  })
}

async function deleteGroup(
  invocation: Invocation,
  name: string,
  flags: { yes?: boolean },
): Promise<void> {
  await invocation.confirm(
    `Delete group ${name}, its progress, retries and dead letters for good?`,
    flags,
  )
  const client = await invocation.connect()
  await client.admin().groups().delete(name, { signal: invocation.signal })
  await invocation.output.object({ deleted: name }, () => `deleted ${name}`)
}

function groupText({ name, state, members, topics }: GroupOverview): string {
  const count = `${members} ${members === 1 ? 'member' : 'members'}`
  const read = topics.length === 0 ? 'no topics' : topics.map(topicText).join(', ')
  return `${oneLine(name)}: ${state}, ${count}, reads ${read}`
}

/** `orders`, with what is out of the ordinary behind it. */
function topicText({ name, mode, tags, isPaused }: GroupTopic): string {
  const notes = [
    mode === 'pull' ? '' : mode,
    tags === undefined ? '' : `tags ${tags.join(' ')}`,
    isPaused ? 'paused' : '',
  ].filter((note) => note !== '')
  return oneLine(notes.length === 0 ? name : `${name} (${notes.join('; ')})`)
}

/** As keys are written, with values that `group config` takes. */
function policyText(policy: GroupPolicyDescription): string {
  const any = (value: number): string => (value === 0 ? 'any' : String(value))
  return [
    `assignor ${policy.assignor}, sessionTimeout ${formatDuration(policy.sessionMs)}`,
    `maxAttempts ${policy.maxAttempts}, backoff ${policy.backoff}, invisible ${formatDuration(policy.invisibleMs)}`,
    `order ${policy.order}, onFailure ${policy.onFailure}, deadRetention ${formatDuration(policy.deadRetentionMs)}, outageBrake ${policy.outageBrake}`,
    `maxInFlight ${any(policy.maxInFlight)}, maxInFlightPerConsumer ${any(policy.maxInFlightPerConsumer)}`,
  ]
    .map(oneLine)
    .join('\n')
}

function darkText({ moves }: GroupRebalance): string {
  const known = moves.flatMap(({ darkMs }) => darkMs ?? [])
  return known.length === 0 ? '-' : formatDuration(Math.max(...known))
}
