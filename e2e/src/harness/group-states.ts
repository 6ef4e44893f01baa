import assert from 'node:assert/strict'
import type { Client } from '@popmq/client'
import type { Cluster } from './cluster.ts'
import { until } from './waiting.ts'

const names = ['ready', 'leased', 'retrying', 'parked', 'dead', 'acked', 'skipped'] as const

/** How many messages of a group are in each state, over all partitions. */
export type StateSums = Readonly<Record<(typeof names)[number] | 'high', number>>

/** As `popmq group lag` tells it; checks that the states of every partition add up to what was ever visible in it. */
export async function lagSums(cluster: Cluster, group: string): Promise<StateSums> {
  const { lines } = await cluster.done('group', 'lag', group)
  return summed(lines as readonly unknown[] as readonly StateSums[])
}

/** As the client library tells it. @returns undefined while of a partition nothing is known */
export async function statesNow(client: Client, group: string): Promise<StateSums | undefined> {
  const { partitions, unknown } = await client.admin().groups().states(group)
  if (unknown.length > 0) return undefined
  return summed(
    partitions.map(({ high, states }) => {
      assert.ok(states, 'a group that pops has states')
      return { high, ...states }
    }),
  )
}

/** Waits until every one of `sent` messages is done with: acked, dead or skipped, and none in any hand. */
export async function allSettled(
  client: Client,
  { group, sent, withinMs = 60_000 }: { group: string; sent: number; withinMs?: number },
): Promise<StateSums> {
  let last: StateSums | undefined
  const isSettled = async (): Promise<boolean> => {
    last = await statesNow(client, group)
    if (last === undefined) return false
    const { high, ready, leased, retrying, parked } = last
    return high === sent && ready + leased + retrying + parked === 0
  }
  try {
    await until(isSettled, { what: `${sent} messages to be settled`, withinMs, everyMs: 100 })
  } catch (error) {
    throw new Error(`the states were ${JSON.stringify(last)}`, { cause: error })
  }
  assert.ok(last, 'it was waited for')
  return last
}

function summed(partitions: readonly StateSums[]): StateSums {
  const sums = {
    high: 0,
    ready: 0,
    leased: 0,
    retrying: 0,
    parked: 0,
    dead: 0,
    acked: 0,
    skipped: 0,
  }
  for (const partition of partitions) {
    const total = names.reduce((sum, name) => sum + partition[name], 0)
    assert.equal(total, partition.high, `the states add up: ${JSON.stringify(partition)}`)
    for (const name of [...names, 'high'] as const) sums[name] += partition[name]
  }
  return sums
}
