/** The committing process: members of many groups, each with all partitions of one topic. */
import { setTimeout } from 'node:timers/promises'
import { type Client, connect, type GroupConsumer } from '@popmq/client'
import { present } from '@popmq/kit'
import { takePart } from '../participant.ts'
import type { Committed } from './run-commit-bench.ts'

interface JoinGiven {
  readonly servers: string
  readonly topic: string
  readonly groups: number
  readonly partitions: number
  /** Messages in each partition. */
  readonly messages: number
}

/** A connection carries at most 1,024 requests at once, and each member holds one. */
const membersPerClient = 100
const clients: Client[] = []
let joined: JoinGiven | undefined
let members: GroupConsumer[] = []

takePart({
  /** Answers when each member holds all partitions and knows where they end. */
  join: async (given: JoinGiven) => {
    joined = given
    for (let group = 0; group < given.groups; group += membersPerClient)
      clients.push(await connect(given.servers, { client: 'popmq-bench-committer' }))
    members = Array.from({ length: given.groups }, (_, number) =>
      present(clients[Math.floor(number / membersPerClient)], 'it was connected').pullConsumer({
        group: `bench-commit-${number}`,
        topics: [given.topic],
        commit: 'manual',
        // What the first request brings tells where partitions end; nothing more is fetched, and nothing read.
        prefetchBytes: 1,
      }),
    )
    await Promise.all(members.map((member) => untilKnown(member, given)))
    return {}
  },
  commit: async ({ rounds }: { rounds: number }): Promise<Committed> => {
    const { topic, partitions } = present(joined, 'join comes before commit')
    const tookMs: number[] = []
    const startedMs = performance.now()
    const commitAll = async (member: GroupConsumer): Promise<void> => {
      for (let round = 1; round <= rounds; round += 1) {
        const offsets = Array.from({ length: partitions }, (_, partition) => {
          return { topic, partition, offset: round }
        })
        const askedMs = performance.now()
        await member.commit(offsets)
        tookMs.push(performance.now() - askedMs)
      }
    }
    await Promise.all(members.map(commitAll))
    const seconds = (performance.now() - startedMs) / 1_000
    return { seconds, tookMs: tookMs.sort((a, b) => a - b) }
  },
  close: async () => {
    await Promise.all(clients.map((client) => client.close()))
    return {}
  },
})

async function untilKnown(
  member: GroupConsumer,
  { partitions, messages }: JoinGiven,
): Promise<void> {
  const isKnown = (): boolean => {
    const ends = member.positions().map(({ high }) => high)
    return ends.length === partitions && ends.every((high) => high === messages)
  }
  while (!isKnown()) await setTimeout(20)
}
