import { type AckLevel, MqError } from '@popmq/protocol'
import type { Lane } from './lane.ts'
import { Outlet, type OutletOptions } from './outlet.ts'
import type { RouteTable } from './route-table.ts'
import type { Run } from './run.ts'

export interface LaneBoardOptions extends OutletOptions {
  /** Absent: the strongest that each topic's replication allows. */
  readonly acks: AckLevel | undefined
  readonly batchMessages: number
}

/**
 * Keeps each lane where its state puts it. Whoever changes a lane touches it; `place` then moves those touched, once,
 * however often they were touched.
 */
export class LaneBoard {
  readonly #options: LaneBoardOptions
  readonly #routes: RouteTable
  readonly #outlets = new Map<string, Outlet>()
  /** Lanes with runs that are not settled, as of the last `place`. */
  readonly #live = new Set<Lane>()
  readonly #paused = new Set<Lane>()
  #touched: Lane[] = []
  #wantsProducerId = false
  #wantsRoutes = false

  constructor(options: LaneBoardOptions, routes: RouteTable) {
    this.#options = options
    this.#routes = routes
  }

  get outlets(): Iterable<Outlet> {
    return this.#outlets.values()
  }

  get isIdle(): boolean {
    return this.#live.size === 0 && this.#touched.length === 0
  }

  get wantsProducerId(): boolean {
    return this.#wantsProducerId && this.#live.size > 0
  }

  /** Whether routes may be out of date. Asking resets it. */
  takeRouteWish(): boolean {
    const wanted = this.#wantsRoutes
    this.#wantsRoutes = false
    return wanted
  }

  wishRoutes(): void {
    this.#wantsRoutes = true
  }

  touch(lane: Lane): void {
    if (lane.isTouched) return
    lane.isTouched = true
    this.#touched.push(lane)
  }

  /** All lanes that may have runs which are not settled. */
  lanes(): Lane[] {
    return [...new Set([...this.#live, ...this.#touched])]
  }

  /** Moves the lanes that were touched, and those whose pause is over. */
  place(now: number): void {
    const touched = this.#touched
    this.#touched = []
    for (const lane of touched) {
      lane.isTouched = false
      this.#place(lane, now)
    }
    for (const lane of this.#paused) {
      if (lane.sequence.pausedUntil <= now) this.#place(lane, now)
    }
  }

  /** Nobody waits for a producer id any more. */
  identified(): void {
    this.#wantsProducerId = false
  }

  /** When time alone makes a lane or an outlet ready, on the monotonic clock. */
  get wakesAt(): number | undefined {
    let earliest = Number.POSITIVE_INFINITY
    for (const { sequence } of this.#paused) earliest = Math.min(earliest, sequence.pausedUntil)
    for (const { wakesAt } of this.outlets) earliest = Math.min(earliest, wakesAt ?? earliest)
    return earliest === Number.POSITIVE_INFINITY ? undefined : earliest
  }

  #place(lane: Lane, now: number): void {
    lane.outlet?.remove(lane)
    lane.outlet = undefined
    this.#paused.delete(lane)
    lane.state = 'quiet'
    if (lane.sequence.isIdle) {
      this.#live.delete(lane)
      return
    }
    this.#live.add(lane)
    if (lane.sequence.needsProducerId) this.#wantsProducerId = true
    const next = lane.sequence.peek()
    if (next !== undefined) this.#placeUnquiet(lane, next, now)
  }

  #placeUnquiet(lane: Lane, next: Run, now: number): void {
    const leader = this.#routes.leader(lane.topic.info, lane.partition)
    if (lane.sequence.pausedUntil > now) {
      lane.state = 'paused'
      this.#paused.add(lane)
    } else if (leader === undefined) {
      lane.state = 'homeless'
      this.#wantsRoutes = true
    } else {
      lane.state = 'ready'
      lane.outlet = this.#outlet(leader.address, this.#acksOf(lane))
      lane.outlet.add(lane, this.#weight(lane, next), now)
    }
  }

  #weight({ sequence }: Lane, next: Run): number {
    const isFull =
      next.number !== undefined ||
      sequence.waitingRuns > 1 ||
      next.count >= this.#options.batchMessages
    return isFull ? this.#options.batchBytes : next.recordBytes
  }

  #acksOf({ topic }: Lane): AckLevel {
    return this.#options.acks ?? (topic.info.policy.replicas > 1 ? 'quorum' : 'disk')
  }

  #outlet(address: string, acks: AckLevel): Outlet {
    const key = `${acks} ${address}`
    let outlet = this.#outlets.get(key)
    if (outlet === undefined) {
      outlet = new Outlet({ address, acks }, this.#options)
      this.#outlets.set(key, outlet)
    }
    return outlet
  }
}

/** Why a run was not delivered in time though nothing ever went wrong with it. */
export function undelivered(lane: Lane, deliverWithinMs: number): MqError {
  const { state, topic, partition, sequence } = lane
  const place = `partition ${partition} of topic ${topic.info.name}`
  if (sequence.needsProducerId) {
    return new MqError(
      'unreachable',
      `no coordinator gave a producer id within ${deliverWithinMs} ms`,
    )
  }
  if (state === 'homeless') {
    return new MqError('unreachable', `no broker led ${place} for ${deliverWithinMs} ms`)
  }
  return new MqError('broker_busy', `${place} took no more messages within ${deliverWithinMs} ms`)
}
