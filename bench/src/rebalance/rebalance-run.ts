import { setTimeout } from 'node:timers/promises'
import type { LiveGiven, LiveStarted, LiveStopped } from '../catch-up/live-sides.ts'
import type { MeasuredCluster } from '../measured-cluster.ts'
import { topicName } from '../measure.ts'
import { sharedMs } from '../monotonic.ts'
import { leastMoves } from './least-moves.ts'
import { MeasuredGroup, type MeasuredMove } from './measured-group.ts'

export interface RebalanceSettings {
  readonly sizeBytes: number
  readonly members: number
  readonly partitions: number
  /** Messages per second, evenly to all partitions. */
  readonly rate: number
  /** How often one leaves, and one is killed; before each of both one joins. */
  readonly rounds: number
  /** After so long without a sign a member is taken for dead. */
  readonly sessionMs: number
}

export const changes = ['join', 'leave', 'kill'] as const

/** One member came or went. */
export interface MembershipChange {
  readonly change: (typeof changes)[number]
  readonly round: number
  readonly moves: readonly MeasuredMove[]
  /** How few could have moved. */
  readonly least: number
  /** From the change until all that moved was read by its new owner. */
  readonly settledMs: number
}

const producer = new URL('../catch-up/live-producer.js', import.meta.url)
const calmMs = 500

/** Under a steady load members join, leave and are killed. @throws MqError `timed_out` when the group does not settle */
export async function runRebalances(
  settings: RebalanceSettings,
  { cluster, onChange }: { cluster: MeasuredCluster; onChange: OnChange },
): Promise<readonly MembershipChange[]> {
  const { client, start } = cluster
  const { partitions, sizeBytes, rate, members, sessionMs } = settings
  const topic = topicName(0)
  const admin = client.admin()
  await admin.createTopic(topic, { partitions })
  await admin.groups().setConfig(topic, { sessionTimeout: `${sessionMs}ms` })
  const group = new MeasuredGroup(cluster, { group: topic, topic, partitions })
  const load = await start(producer, { name: 'producer' })
  const given: LiveGiven = { topic, partitions, sizeBytes, rate }
  await load.call<LiveStarted>('start', given)
  const first = await Promise.all(Array.from({ length: members }, () => group.prepare()))
  await Promise.all(first.map((name) => group.join(name)))
  await group.settled({ rebalance: 0 })
  const results = await changeAll(group, { settings, onChange })
  await load.call<LiveStopped>('stop', {})
  await Promise.all(group.names.map((name) => group.leave(name)))
  await admin.groups().delete(topic)
  await admin.deleteTopic(topic)
  return results
}

/** Told of each change when the group has settled. */
export type OnChange = (change: MembershipChange) => Promise<void>

async function changeAll(
  group: MeasuredGroup,
  { settings, onChange }: { settings: RebalanceSettings; onChange: OnChange },
): Promise<readonly MembershipChange[]> {
  const results: MembershipChange[] = []
  const step = async (
    { change, round }: Pick<MembershipChange, 'change' | 'round'>,
    act: () => Promise<void>,
  ): Promise<void> => {
    await setTimeout(calmMs)
    const before = await group.look()
    const startedMs = sharedMs()
    await act()
    const moves = await group.settled(before)
    const settledMs = sharedMs() - startedMs
    const held = group.names.map((name) => before.held.get(name) ?? 0)
    const least = leastMoves(held, settings.partitions)
    const result = { change, round, moves, least, settledMs }
    results.push(result)
    await onChange(result)
  }
  for (let round = 1; round <= settings.rounds; round += 1) {
    for (const change of ['leave', 'kill'] as const) {
      const name = await group.prepare()
      await step({ change: 'join', round }, () => group.join(name))
      await step({ change, round }, () => group[change](name))
    }
  }
  return results
}
