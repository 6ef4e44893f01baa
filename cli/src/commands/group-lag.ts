import type { GroupStates, MessageStates, PartitionLag, TopicPartition } from '@popmq/client'
import { formatDuration } from '../duration.ts'
import type { Invocation } from '../invocation.ts'
import { oneLine, refusalLine } from '../output.ts'
import { formatTable } from '../table.ts'

const stateNames = ['ready', 'leased', 'retrying', 'parked', 'dead', 'acked', 'skipped'] as const
type StateName = (typeof stateNames)[number]

/** How far behind a group is, and in which state its messages are. What is not known is an error of its own. */
export async function showLag(invocation: Invocation, name: string): Promise<void> {
  const { output, signal, surroundings } = invocation
  const client = await invocation.connect()
  const told = await client.admin().groups().states(name, { signal })
  if (output.json) await output.rows(told.partitions.map(lagLine), emptyTable)
  else await output.raw(lagText(told))
  if (told.unknown.length === 0) return
  invocation.fail()
  const places = placesText(told.unknown)
  const sentence = `nothing is known of ${places} now: its broker does not answer`
  const mend = 'popmq cluster brokers names those that are there'
  await surroundings.stderr.write(`${refusalLine('unreachable', sentence, mend)}\n`)
}

const emptyTable = { head: [], cells: () => [], empty: '' }

/** `orders 0 2 5, parcels 1`; `-` for none. */
export function placesText(places: readonly TopicPartition[]): string {
  const byTopic = new Map<string, number[]>()
  for (const { topic, partition } of places) {
    byTopic.set(topic, [...(byTopic.get(topic) ?? []), partition])
  }
  const words = [...byTopic].map(([topic, partitions]) => `${topic} ${partitions.join(' ')}`)
  return words.length === 0 ? '-' : oneLine(words.join(', '))
}

function lagLine({ member, lagMs, states, ...lag }: PartitionLag) {
  const of = member === undefined ? {} : { member }
  return { ...lag, ...of, lagMs: lagMs ?? null, ...states }
}

function lagText({ partitions, unknown, delayed }: GroupStates): string {
  if (partitions.length === 0 && unknown.length === 0) return 'the group has read nothing yet\n'
  const waiting = delayed.filter(({ count }) => count > 0)
  return [
    lagTable(partitions, unknown),
    ...waiting.map(({ topic, count }) => `${oneLine(topic)}: ${count} delayed\n`),
  ].join('')
}

/** Columns that would say nothing are left out: members and what they committed when there are none, parked messages. */
function lagTable(partitions: readonly PartitionLag[], unknown: readonly TopicPartition[]): string {
  const hasMembers = partitions.some(({ member }) => member !== undefined)
  const hasCommitted = partitions.some(({ committed }) => committed >= 0)
  const shown = stateNames.filter(
    (name) => name !== 'parked' || partitions.some(({ states }) => (states?.parked ?? 0) > 0),
  )
  const head = [
    ...['topic', 'partition', ...(hasMembers ? ['member'] : [])],
    ...(hasCommitted ? ['committed'] : []),
    ...['high', 'messages', 'behind', ...shown],
  ]
  const rows = partitions.map((lag) => [
    ...[oneLine(lag.topic), String(lag.partition)],
    ...(hasMembers ? [oneLine(lag.member ?? '-')] : []),
    ...(hasCommitted ? [lag.committed < 0 ? '-' : String(lag.committed)] : []),
    ...[String(lag.high), String(lag.messages), agoText(lag.lagMs)],
    ...shown.map((name) => stateText(lag.states, name)),
  ])
  const unknownRows = unknown.map(({ topic, partition }) => [
    ...[oneLine(topic), String(partition)],
    ...head.slice(2).map(() => '?'),
  ])
  const sum = sumOf(partitions)
  const sumRow = [
    ...['sum', '', ...(hasMembers ? [''] : []), ...(hasCommitted ? [''] : [])],
    ...[String(sum.high), String(sum.messages), agoText(sum.lagMs)],
    ...shown.map((name) => stateText(sum.states, name)),
  ]
  return formatTable(head, [...rows, ...unknownRows, sumRow])
}

/** Over all partitions of which something is known; of ages the oldest. */
function sumOf(partitions: readonly PartitionLag[]): Omit<PartitionLag, keyof TopicPartition> {
  const all = partitions.flatMap(({ states }) => states ?? [])
  const total = (of: (lag: PartitionLag) => number): number =>
    partitions.reduce((sum, lag) => sum + of(lag), 0)
  const count = (name: StateName): number => all.reduce((sum, states) => sum + states[name], 0)
  const ages = ['readyAgeMs', 'leasedAgeMs', 'retryingAgeMs', 'deadAgeMs'] as const
  const oldest = ages.flatMap((age) => {
    const known = all.flatMap((states) => states[age] ?? [])
    return known.length === 0 ? [] : [[age, Math.max(...known)] as const]
  })
  const lags = partitions.map(({ lagMs }) => lagMs)
  const known = lags.filter((lagMs) => lagMs !== undefined)
  return {
    committed: -1,
    low: 0,
    high: total(({ high }) => high),
    messages: total(({ messages }) => messages),
    lagMs: known.length < lags.length ? undefined : Math.max(0, ...known),
    states: {
      ready: count('ready'),
      leased: count('leased'),
      retrying: count('retrying'),
      parked: count('parked'),
      dead: count('dead'),
      acked: count('acked'),
      skipped: count('skipped'),
      ...Object.fromEntries(oldest),
    },
  }
}

/** `3 (5s)`: how many, and the age of the oldest; `-` for a broadcast member, of which no states are kept. */
function stateText(states: MessageStates | undefined, name: StateName): string {
  if (states === undefined) return '-'
  const age = {
    ready: states.readyAgeMs,
    leased: states.leasedAgeMs,
    retrying: states.retryingAgeMs,
    dead: states.deadAgeMs,
    ...{ parked: undefined, acked: undefined, skipped: undefined },
  }[name]
  return age === undefined ? String(states[name]) : `${states[name]} (${agoText(age)})`
}

/** To a second where it is more than one; 0 when nothing is behind. */
function agoText(ms: number | undefined): string {
  if (ms === undefined) return '?'
  const whole = Math.round(ms)
  return formatDuration(whole < 1_000 ? whole : Math.round(whole / 1_000) * 1_000)
}
