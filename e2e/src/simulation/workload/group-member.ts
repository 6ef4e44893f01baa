import {
  type Client,
  connect,
  type GroupBatch,
  type GroupConsumer,
  type GroupConsumerOptions,
  isMqError,
} from '@popmq/client'
import { between, type Clock, sleep } from '@popmq/kit'
import type { SeededRandom } from '@popmq/kit/testing'
import type { Transport } from '@popmq/transport'
import { type GroupBook, type HistoryBook, partitionName } from '../history.ts'
import { type Life, pause, wake } from '../life.ts'
import type { GroupPlan } from '../swarm.ts'
import { MemberTap } from './member-tap.ts'

/** The ports of one process, and its life. */
export interface ProcessPorts {
  readonly life: Life
  readonly transport: Transport
  readonly clock: Clock
  readonly random: SeededRandom
}

export interface GroupMemberParts extends ProcessPorts {
  /** Of the process; its node bears it too. */
  readonly name: string
  /** The static name. */
  readonly member: string | undefined
  readonly topic: string
  readonly plan: GroupPlan
  readonly coordinators: readonly string[]
  readonly history: HistoryBook
  readonly book: GroupBook
  readonly defect: (what: string) => void
}

export const groupName = 'workers'

/** What a commit may be refused with: the partition or the session has gone, or nobody answered for long. */
const explained = [
  'grant_fenced',
  'member_unknown',
  'unreachable',
  'timed_out',
  'connection_lost',
  'not_coordinator',
  'registry_unavailable',
  'shutting_down',
  'closed',
] as const

/** One process that is a member of the group by the public client, from its start until it leaves or is killed. */
export class GroupMember {
  readonly parts: GroupMemberParts
  readonly #tap: MemberTap
  readonly #stop = new AbortController()
  readonly #isManual: boolean
  readonly #drainMs: number
  readonly #asksUser: boolean
  /** Commits that nobody waited for yet. */
  readonly #commits = new Set<Promise<void>>()

  constructor(parts: GroupMemberParts) {
    const { random, plan, name, book, clock } = parts
    this.parts = parts
    this.#isManual = random.next() < plan.manualShare
    this.#drainMs = between(random, 0, plan.drainMs)
    this.#asksUser = random.next() < 0.3
    this.#tap = new MemberTap({
      member: name,
      book,
      monotonic: () => clock.monotonic(),
      // Who commits by himself may give back what he has not committed, once he was asked.
      gracefulMs: this.#isManual ? undefined : this.#drainMs,
    })
  }

  /** Reads until it is told to leave. Of a process that is killed it never ends. */
  async work(): Promise<void> {
    const { name, defect } = this.parts
    const client = await this.#connect()
    if (client === undefined) return
    const consumer = client.pullConsumer(this.#options())
    try {
      for await (const batch of consumer.batches({ signal: this.#stop.signal }))
        await this.#handle(batch)
    } catch (error) {
      if (!isMqError(error)) throw error
      defect(`${name} gave up: ${error.name}: ${error.message}`)
    }
    await this.#end(consumer)
    await client.close()
  }

  /** Leaves in good order. */
  leave(): void {
    this.#stop.abort()
  }

  pause(): void {
    pause(this.parts.life)
  }

  wake(world: Clock): void {
    wake(world, this.parts.life)
  }

  async #connect(): Promise<Client | undefined> {
    const { transport, coordinators, clock, random, name } = this.parts
    const tapped = this.#tap.transport(transport, (address) => coordinators.includes(address))
    const requestTimeoutMs = between(random, 1_000, 4_000)
    while (!this.#stop.signal.aborted) {
      try {
        return await connect(coordinators, {
          transport: tapped,
          clock,
          random: random.fork(),
          client: name,
          requestTimeoutMs,
          refreshMs: between(random, 500, 10_000),
        })
      } catch (error) {
        if (!isMqError(error) || error.retriable === 'no') throw error
        await sleep(clock, 200)
      }
    }
    return undefined
  }

  #options(): GroupConsumerOptions {
    const { random, plan, topic, member, clock } = this.parts
    const revoked = async (): Promise<void> => sleep(clock, random.next() * plan.handleMs)
    return {
      group: groupName,
      topics: [topic],
      from: plan.from,
      waitMs: between(random, 100, 800),
      maxBytes: between(random, 500, 20_000),
      prefetchBytes: random.next() < 0.5 ? between(random, 0, 20_000) : 500_000,
      commit: this.#isManual ? 'manual' : 'auto',
      autoCommitMs: between(random, 10, 1_500),
      drainMs: this.#drainMs,
      ...(member === undefined ? {} : { member }),
      ...(this.#asksUser ? { onRevoke: revoked } : {}),
    }
  }

  async #handle(batch: GroupBatch): Promise<void> {
    const { clock, random, plan } = this.parts
    this.#handed(batch)
    await sleep(clock, random.next() * plan.handleMs)
    if (!this.#isManual) return
    if (random.next() < 0.2) return this.#commitLate(batch)
    const committed = this.#told(batch.commit())
    // Most often the next batch is asked for while the commit is under way.
    if (random.next() < 0.3) await committed
  }

  /** When others that came later are committed, and the partitions may be another's. */
  #commitLate(batch: GroupBatch): void {
    const { clock, random } = this.parts
    void this.#told(sleep(clock, between(random, 1, 3_000)).then(() => batch.commit()))
  }

  #handed({ partitions }: GroupBatch): void {
    const { name: member, topic, history, book } = this.parts
    const known = [...history.topics.values()].find(({ name }) => name === topic)
    for (const { partition: number, messages } of partitions) {
      const partition = partitionName(known?.id ?? 0, number)
      const epoch = this.#tap.epochOf(partition)
      const offsets = messages.map(({ offset }) => offset)
      book.events.push({ kind: 'handed', member, partition, epoch, offsets })
    }
  }

  /** What became of a commit; never rejects. */
  #told(commit: Promise<void>): Promise<void> {
    const { name, defect } = this.parts
    const ended = commit.catch((error: unknown) => {
      if (isMqError(error, ...explained)) return
      if (!isMqError(error)) throw error
      defect(`a commit of ${name} failed: ${error.name}: ${error.message}`)
    })
    this.#commits.add(ended)
    void ended.finally(() => this.#commits.delete(ended))
    return ended
  }

  async #end(consumer: GroupConsumer): Promise<void> {
    if (this.#isManual) void this.#told(consumer.commit())
    await Promise.all(this.#commits)
    this.#tap.closing()
    await consumer.close()
  }
}
