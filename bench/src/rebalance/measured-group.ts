import { setTimeout } from 'node:timers/promises'
import { type GroupAdmin, type GroupMember, type GroupRebalance, MqError } from '@popmq/client'
import { present } from '@popmq/kit'
import type { MeasuredCluster } from '../measured-cluster.ts'
import { sharedMs } from '../monotonic.ts'
import type { Participant } from '../participant.ts'
import type { JoinGiven, Told } from './sides.ts'
import { gapMs, type Handover, type Tenure } from './tenures.ts'

/** A group at one moment. */
export interface GroupLook {
  /** Of the latest rebalance. */
  readonly rebalance: number
  /** How many partitions each member has, by its name. */
  readonly held: ReadonlyMap<string, number>
}

/** A partition that moved. */
export interface MeasuredMove {
  /** As the coordinator tells it. */
  readonly darkMs: number
  /** As the members see it. @defaultValue undefined where the old owner had read nothing */
  readonly gapMs: number | undefined
}

const file = new URL('member.js', import.meta.url)
const lookMs = 20
const stuckMs = 60_000
const mostRebalances = 100

/**
 * Members of one group, each in a process whose id is its name, and what the coordinator and they tell of partitions
 * that move.
 */
export class MeasuredGroup {
  readonly #cluster: MeasuredCluster
  readonly #given: JoinGiven
  readonly #partitions: number
  readonly #members = new Map<string, Participant>()
  /** What members told last, also those that are gone. */
  readonly #tenures = new Map<string, readonly Tenure[]>()
  /** Whom the coordinator knows by which id. */
  readonly #names = new Map<string, string>()
  #count = 0

  constructor(cluster: MeasuredCluster, given: JoinGiven & { readonly partitions: number }) {
    this.#cluster = cluster
    this.#given = { group: given.group, topic: given.topic }
    this.#partitions = given.partitions
  }

  get names(): readonly string[] {
    return [...this.#members.keys()]
  }

  /** Starts a process that can join: that takes a while, and is no part of a rebalance. */
  async prepare(): Promise<string> {
    this.#count += 1
    const started = { name: `member ${this.#count}`, isProfiled: false }
    const member = await this.#cluster.start(file, started)
    const name = String(member.pid)
    this.#members.set(name, member)
    return name
  }

  async join(name: string): Promise<void> {
    await this.#member(name).call('join', this.#given)
  }

  async leave(name: string): Promise<void> {
    this.#gone(name, await this.#member(name).call<Told>('leave', {}))
  }

  /** Right after it told what it has read. */
  async kill(name: string): Promise<void> {
    const member = this.#member(name)
    const told = await member.call<Told>('tell', {})
    process.kill(member.pid, 'SIGKILL')
    this.#gone(name, told)
  }

  async look(): Promise<GroupLook> {
    const members = await this.#look()
    const held = new Map(members.map((each) => [this.#name(each.memberId), each.partitions.length]))
    const [latest] = await this.#admin.rebalances(this.#given.group, { limit: 1 })
    return { rebalance: latest?.number ?? 0, held }
  }

  /**
   * Waits until those who are there have all partitions, and have read of them.
   * @returns what moved since `before` @throws MqError `timed_out`
   */
  async settled(before: { readonly rebalance: number }): Promise<readonly MeasuredMove[]> {
    const untilMs = sharedMs() + stuckMs
    while (sharedMs() < untilMs) {
      const moves = await this.#movesSince(before.rebalance)
      if (moves !== undefined) return moves
      await setTimeout(lookMs)
    }
    throw new MqError('timed_out', `the group was not settled in ${stuckMs} ms`)
  }

  /** @returns undefined while it is not settled */
  async #movesSince(number: number): Promise<readonly MeasuredMove[] | undefined> {
    const { group } = this.#given
    const members = await this.#look()
    if (!this.#isShared(members)) return undefined
    const rebalances = await this.#admin.rebalances(group, { limit: mostRebalances })
    // Who has just come has nothing yet, and all look settled: until it is planned for.
    const [latest] = rebalances
    if (latest === undefined || latest.number <= number) return undefined
    if (latest.members !== this.#members.size) return undefined
    await this.#tellAll()
    if (!this.#isRead(members)) return undefined
    return this.#measured(rebalances.filter((each) => each.number > number))
  }

  #isShared(members: readonly GroupMember[]): boolean {
    const there = members.map(({ memberId }) => this.#name(memberId))
    const held = members.reduce((sum, { partitions }) => sum + partitions.length, 0)
    return (
      there.length === this.#members.size &&
      there.every((name) => this.#members.has(name)) &&
      held === this.#partitions &&
      members.every(({ revoking }) => revoking.length === 0)
    )
  }

  /** Whether every member has received a message of every partition that it has. */
  #isRead(members: readonly GroupMember[]): boolean {
    return members.every(({ memberId, partitions }) => {
      const tenures = this.#tenures.get(this.#name(memberId)) ?? []
      const read = new Set(
        tenures.flatMap(({ partition, firstMs, isOver }) =>
          firstMs === undefined || isOver ? [] : partition,
        ),
      )
      return partitions.every(({ partition }) => read.has(partition))
    })
  }

  /** `rebalances` are the newest first. @returns undefined while a partition is dark */
  #measured(rebalances: readonly GroupRebalance[]): readonly MeasuredMove[] | undefined {
    const measured: MeasuredMove[] = []
    const later = new Set<number>()
    for (const { partition, from, to, darkMs } of rebalances.flatMap(({ moves }) => moves)) {
      const isOvertaken = later.has(partition)
      later.add(partition)
      // At first nobody had it; and on its way to one member it may be sent to another.
      if (from === undefined || from === to || (isOvertaken && darkMs === undefined)) continue
      if (to === undefined || darkMs === undefined) return undefined
      const handover: Handover = { partition, from: this.#name(from), to: this.#name(to) }
      measured.push({ darkMs, gapMs: gapMs(handover, this.#tenures) })
    }
    return measured
  }

  async #tellAll(): Promise<void> {
    await Promise.all(
      [...this.#members].map(async ([name, member]) => {
        this.#tenures.set(name, (await member.call<Told>('tell', {})).tenures)
      }),
    )
  }

  async #look(): Promise<readonly GroupMember[]> {
    const members = await this.#admin.members(this.#given.group)
    // It says on which machine it is, and in which process.
    for (const { memberId, client = '' } of members)
      this.#names.set(memberId, client.slice(client.lastIndexOf(':') + 1))
    return members
  }

  #name(memberId: string): string {
    return this.#names.get(memberId) ?? memberId
  }

  get #admin(): GroupAdmin {
    return this.#cluster.client.admin().groups()
  }

  #member(name: string): Participant {
    return present(this.#members.get(name), 'it was prepared')
  }

  #gone(name: string, { tenures }: Told): void {
    this.#tenures.set(name, tenures)
    const member = this.#member(name)
    this.#members.delete(name)
    void member.close()
  }
}
