import type { Client, TopicPartition } from '@popmq/client'
import type { Cluster } from '../harness/cluster.ts'

/** A member of the group, for as long as it is one. */
export interface Seat {
  /** Leaves in good order: what it has in hand is committed. */
  leave(): Promise<void>
}

/** What members tell. */
export interface Ledger {
  readonly received: (partition: number, offset: number) => void
  /** Not on its own way out. */
  readonly revoked: (partition: number) => void
  readonly lost: (partition: number) => void
}

export interface Place {
  readonly topic: string
  readonly group: string
}

/** A member in this process, over a connection of its own. */
export async function memberSeat(
  connect: () => Promise<Client>,
  { topic, group }: Place,
  ledger: Ledger,
): Promise<Seat> {
  const client = await connect()
  let isLeaving = false
  const each = (tell: (partition: number) => void) => (all: readonly TopicPartition[]) => {
    if (!isLeaving) for (const { partition } of all) tell(partition)
  }
  const consumer = client.pullConsumer({
    group,
    topics: [topic],
    onRevoke: each(ledger.revoked),
    onLost: each(ledger.lost),
  })
  const reading = (async (): Promise<void> => {
    for await (const { messages } of consumer) {
      for (const { partition, offset } of messages) ledger.received(partition, offset)
    }
  })()
  return {
    leave: async () => {
      isLeaving = true
      await consumer.close()
      await reading
      await client.close()
    },
  }
}

/** A member that is a process: `popmq consume`. */
export function processSeat(cluster: Cluster, { topic, group }: Place, ledger: Ledger): Seat {
  const program = cluster.startPopmq('consume', topic, '--group', group)
  return {
    leave: async () => {
      const { code, stderr, stdout } = await program.stop('SIGTERM')
      if (code !== 0) throw new Error(`${program.name} ended with ${code}: ${stderr}`)
      for (const line of stdout.split('\n')) {
        if (line === '') continue
        const { partition, offset } = JSON.parse(line) as { partition: number; offset: number }
        ledger.received(partition, offset)
      }
    },
  }
}
