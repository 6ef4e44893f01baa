import { type Admin, type Client, isMqError } from '@popmq/client'
import { between, type Clock, sleep } from '@popmq/kit'
import type { SeededRandom } from '@popmq/kit/testing'
import { type HistoryBook, GroupBook, partitionName } from '../history.ts'
import type { SimNetwork } from '../network.ts'
import type { GroupPlan, MemberFaultKind } from '../swarm.ts'
import type { Trace } from '../trace.ts'
import { GroupMember, groupName, type ProcessPorts } from './group-member.ts'
import { GroupOperator } from './group-operator.ts'
import type { TopicPlan } from './operator.ts'

export interface GroupWorkloadParts {
  readonly plan: GroupPlan
  /** Of the world: it goes on whatever becomes of a process. */
  readonly clock: Clock
  readonly random: SeededRandom
  readonly trace: Trace
  readonly network: SimNetwork
  readonly history: HistoryBook
  readonly coordinators: readonly string[]
  /** Every node that a member talks to. */
  readonly servers: readonly string[]
  readonly process: (name: string) => ProcessPorts
  /** A client of the operator. */
  readonly client: () => Promise<{ readonly client: Client }>
  readonly look: () => Promise<unknown>
  readonly defect: (what: string) => void
}

/** What the group reads; nothing of it is purged. */
export const groupTopic = 'tasks'

/** How many members read what is left when all faults are over. */
const lastMembers = 2
/** So much there is that slow ones would read it for minutes. */
const mostLastHandleMs = 20
const mostFaultMs = 8_000

/** Lets members come and go, be killed, cut off and paused, and has the last of them read all that there is. */
export class GroupWorkload {
  readonly book: GroupBook
  readonly #parts: GroupWorkloadParts
  /** Those that live, with the end of their work. */
  readonly #members = new Map<GroupMember, Promise<void>>()
  #started = 0
  #admin: Admin | undefined

  constructor(parts: GroupWorkloadParts) {
    this.#parts = parts
    this.book = new GroupBook(parts.plan.from)
    parts.history.group = this.book
  }

  /** The topic, as those who send to it know it. */
  get topicPlan(): TopicPlan {
    const { partitions } = this.#parts.plan
    const kept = { hasDedupIds: false, expires: false, comesAndGoes: false }
    return { ...kept, name: groupTopic, partitions, config: {} }
  }

  /** Makes topic and group. */
  async prepare(): Promise<void> {
    const { plan, client, look } = this.#parts
    this.#admin = (await client()).client.admin()
    const admin = this.#admin
    const { sessionMs, assignor } = plan
    const config = { sessionTimeout: `${sessionMs}ms`, assignor }
    await this.#insist(async () => {
      try {
        await admin.createTopic(groupTopic, { partitions: plan.partitions })
      } catch (error) {
        if (!isMqError(error, 'topic_exists')) throw error
      }
    })
    await this.#insist(() => admin.groups().setConfig(groupName, config))
    await look()
  }

  /** Keeps as many members as planned, and changes who they are, until it is over; then all have left. */
  async work(isOver: () => boolean): Promise<void> {
    const { plan, clock } = this.#parts
    const operating = this.#operate(isOver)
    while (!isOver()) {
      if (this.#members.size < plan.members) this.#start()
      else if (plan.changeEveryMs > 0) this.#change()
      const pauseMs = plan.changeEveryMs === 0 ? 500 : this.#about(plan.changeEveryMs)
      await sleep(clock, this.#members.size < plan.members ? pauseMs / 4 : pauseMs)
    }
    await operating
    await this.#insist(async () => void (await this.#admin?.groups().resume(groupName)))
    await this.#allLeave()
  }

  /** The last members read what there is; then they leave too. */
  async drain(): Promise<void> {
    const { clock } = this.#parts
    for (let n = 0; n < lastMembers; n += 1) this.#start(mostLastHandleMs)
    await this.#insist(async () => {
      while (!(await this.#isAtEnd())) await sleep(clock, 400)
    })
    await this.#allLeave()
    await this.#insist(() => this.#isAtEnd())
  }

  strike(kind: MemberFaultKind): void {
    const { random, trace, network, servers, clock } = this.#parts
    const member = [...this.#members.keys()][between(random, 0, this.#members.size - 1)]
    if (member === undefined) return
    const { name } = member.parts
    trace.event(name, kind)
    const forMs = between(random, 200, mostFaultMs)
    switch (kind) {
      case 'member_kill':
        return this.#kill(member)
      case 'member_pause':
        member.pause()
        clock.after(forMs, () => member.wake(clock))
        return
      case 'member_cut': {
        // What it has fetched, and fetches still, is the danger.
        const isAlone = random.next() < 0.5
        const isNear = (server: string): boolean => !isAlone && server.startsWith('broker')
        const from = servers.filter((server) => !isNear(server))
        for (const server of from) network.cut(name, server)
        clock.after(forMs, () => {
          for (const server of from) network.mend(name, server)
        })
        return
      }
      default:
        kind satisfies never
    }
  }

  #start(mostHandleMs = Number.POSITIVE_INFINITY): void {
    const { plan, random, history, coordinators, process, defect } = this.#parts
    this.#started += 1
    const name = `m${this.#started}`
    const used = new Set([...this.#members.keys()].map(({ parts }) => parts.member))
    const free = Array.from({ length: plan.members }, (_, n) => `static-${n}`)
    const member =
      random.next() < plan.staticShare ? free.find((each) => !used.has(each)) : undefined
    const { book } = this
    const handleMs = Math.min(plan.handleMs, mostHandleMs)
    const shared = { topic: groupTopic, plan: { ...plan, handleMs }, coordinators }
    const own = { ...shared, name, member, history, book, defect }
    const started = new GroupMember({ ...own, ...process(name) })
    const work = started.work()
    this.#members.set(started, work)
    const gone = (): void => void this.#members.delete(started)
    work.then(gone, (error: unknown) => {
      gone()
      defect(`${name} broke: ${String(error)}`)
    })
  }

  #change(): void {
    const { random } = this.#parts
    const member = [...this.#members.keys()][between(random, 0, this.#members.size - 1)]
    member?.leave()
  }

  #kill(member: GroupMember): void {
    const { network } = this.#parts
    member.parts.life.isOver = true
    this.#members.delete(member)
    network.nodeGone(member.parts.name, { isPowerCut: false })
  }

  async #operate(isOver: () => boolean): Promise<void> {
    const { plan, random, clock, look } = this.#parts
    const admin = this.#admin
    if (admin === undefined || plan.operateEveryMs === 0) return
    const { book } = this
    const operator = new GroupOperator({ admin, random, book, topic: groupTopic, look })
    while (!isOver()) {
      await sleep(clock, this.#about(plan.operateEveryMs))
      await operator.actOnce()
    }
  }

  async #allLeave(): Promise<void> {
    for (const member of this.#members.keys()) member.leave()
    await Promise.all(this.#members.values())
  }

  async #isAtEnd(): Promise<boolean> {
    const admin = this.#admin
    if (admin === undefined) return false
    const bounds = await admin.offsets(groupTopic)
    const { id } = await admin.describeTopic(groupTopic)
    const { progress, memberList, topics } = await admin.groups().describe(groupName)
    const holding = memberList.flatMap(({ client, memberId, partitions }) =>
      partitions.map(({ partition, epoch }) => `${client ?? memberId}:${partition}@${epoch}`),
    )
    const ends = bounds.map(({ partition, high }) => `${partition}:${high}`)
    const rows = progress.map(({ partition, offset }) => `${partition}:${offset}`)
    const isPaused = topics.some((topic) => topic.isPaused)
    this.#parts.trace.event('group', 'stands', rows.join(), ends.join(), holding.join(), isPaused)
    for (const { partition, offset } of progress)
      this.book.progress.set(partitionName(id, partition), offset)
    const at = (partition: number): number =>
      this.book.progress.get(partitionName(id, partition)) ?? 0
    return bounds.every(({ partition, high }) => at(partition) >= high)
  }

  async #insist<T>(attempt: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await attempt()
      } catch (error) {
        if (!isMqError(error) || error.retriable === 'no') throw error
        await sleep(this.#parts.clock, 200)
      }
    }
  }

  #about(meanMs: number): number {
    return -Math.log(1 - this.#parts.random.next()) * meanMs
  }
}
