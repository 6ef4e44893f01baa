import { type Client, MqError } from '@popmq/client'

export interface DrainedGroup {
  readonly topic: string
  readonly group: string
  readonly acked: number
  readonly leased: number
}

/**
 * Asks the cluster itself where the messages are: these, and the group's lag is 0.
 * @throws MqError `internal` when they are elsewhere
 */
export async function checkDrained(
  client: Pick<Client, 'admin'>,
  { topic, group, ...expected }: DrainedGroup,
): Promise<void> {
  const { partitions, unknown } = await client.admin().groups().states(group)
  const found = { acked: 0, leased: 0, lag: 0, elsewhere: 0, unknown: unknown.length }
  for (const { messages, states, topic: name } of partitions) {
    if (name !== topic || states === undefined) continue
    found.acked += states.acked
    found.leased += states.leased
    found.lag += messages
    found.elsewhere += states.retrying + states.parked + states.dead + states.skipped
  }
  const isDrained = found.lag + found.elsewhere + found.unknown === 0
  if (isDrained && found.acked === expected.acked && found.leased === expected.leased) return
  const told = Object.entries(found).map(([what, count]) => `${count} ${what}`)
  throw new MqError(
    'internal',
    `${expected.acked} messages were to be acked and ${expected.leased} leased: ${told.join(', ')}`,
  )
}
