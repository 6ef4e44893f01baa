import { type Clock, type Deferred, deferred, type Timer } from '@popmq/kit'
import {
  type GroupId,
  type groupReport,
  limits,
  type RequestOf,
  type WantedReport,
} from '@popmq/protocol'

/** What one broker tells of a group. */
export type BrokerReport = Pick<RequestOf<typeof groupReport>, 'partitions' | 'delayed'>

export interface WantedReportsParts {
  readonly clock: Pick<Clock, 'after'>
  /** Where tickets begin: anywhere, so that none is taken for one of the leader before. */
  readonly firstTicket: number
  /** Called when there is a new ticket: held requests of brokers are to be answered. */
  readonly wake: () => void
}

/**
 * What brokers are asked about groups. A ticket is
 *    waiting      nobody was told of it: whoever asks about the same group shares it
 *    handed out   to one of its brokers at least; who asks now wants newer numbers, under a ticket of his own
 *    over         all its brokers have reported, or 5 s have passed, or this coordinator leads no more
 */
export class WantedReports {
  readonly #parts: WantedReportsParts
  readonly #tickets = new Map<number, Ticket>()
  #last: number
  #isClosed = false

  constructor(parts: WantedReportsParts) {
    this.#parts = parts
    this.#last = parts.firstTicket
  }

  /** Asks these brokers. @returns what was told in time, by the id of the broker */
  async ask(
    groupId: GroupId,
    brokers: Iterable<number>,
  ): Promise<ReadonlyMap<number, BrokerReport>> {
    const ids = new Set(brokers)
    if (ids.size === 0 || this.#isClosed) return new Map()
    const ticket = this.#waiting(groupId) ?? this.#issue(groupId)
    for (const id of ids) ticket.brokers.set(id, ticket.brokers.get(id) ?? 'waiting')
    this.#parts.wake()
    await ticket.done.promise
    return ticket.reports
  }

  /** Whether this broker is to be told of a ticket. */
  isWanted(broker: number): boolean {
    for (const { brokers } of this.#tickets.values())
      if (brokers.get(broker) === 'waiting') return true
    return false
  }

  /** Tickets that this broker was not told of, and is now. */
  handOut(broker: number): WantedReport[] {
    const wanted: WantedReport[] = []
    for (const { number, groupId, brokers } of this.#tickets.values()) {
      if (brokers.get(broker) !== 'waiting') continue
      brokers.set(broker, 'handed out')
      wanted.push({ ticket: number, groupId })
      if (wanted.length === mostAtOnce) break
    }
    return wanted
  }

  /** A broker reports. For a ticket that is over, or that it was not asked, nothing happens. */
  report(broker: number, { ticket: number, partitions, delayed, more }: Reported): void {
    const ticket = this.#tickets.get(number)
    if (ticket?.brokers.get(broker) !== 'handed out') return
    const before = ticket.reports.get(broker) ?? { partitions: [], delayed: [] }
    const report = {
      partitions: [...before.partitions, ...partitions].slice(0, limits.partitionsPerGroup),
      delayed: [...before.delayed, ...delayed].slice(0, mostTopics),
    }
    ticket.reports.set(broker, report)
    if (more === true) return
    ticket.brokers.set(broker, 'done')
    if ([...ticket.brokers.values()].every((state) => state === 'done')) this.#end(ticket)
  }

  /** Ends every ticket with what was told. */
  close(): void {
    this.#isClosed = true
    for (const ticket of [...this.#tickets.values()]) this.#end(ticket)
  }

  #waiting(groupId: GroupId): Ticket | undefined {
    for (const ticket of this.#tickets.values()) {
      const isWaiting = [...ticket.brokers.values()].every((state) => state === 'waiting')
      if (ticket.groupId === groupId && isWaiting) return ticket
    }
    return undefined
  }

  #issue(groupId: GroupId): Ticket {
    this.#last += 1
    const ticket: Ticket = {
      number: this.#last,
      groupId,
      brokers: new Map(),
      reports: new Map(),
      done: deferred(),
      timer: this.#parts.clock.after(mostMs, () => this.#end(ticket)),
    }
    this.#tickets.set(ticket.number, ticket)
    return ticket
  }

  #end(ticket: Ticket): void {
    ticket.timer.cancel()
    this.#tickets.delete(ticket.number)
    ticket.done.resolve()
  }
}

type Reported = Pick<RequestOf<typeof groupReport>, 'ticket' | 'partitions' | 'delayed' | 'more'>

interface Ticket {
  readonly number: number
  readonly groupId: GroupId
  readonly brokers: Map<number, 'waiting' | 'handed out' | 'done'>
  readonly reports: Map<number, BrokerReport>
  readonly done: Deferred<void>
  readonly timer: Timer
}

/** How long who asks waits at most. */
const mostMs = 5_000
const mostAtOnce = 1_000
const mostTopics = 1_000
