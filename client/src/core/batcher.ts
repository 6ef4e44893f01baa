import { Backoff, type Random } from '@popmq/kit'
import { type Checksum, type MqError, partitionNumber, type PreparedMessage } from '@popmq/protocol'
import { producerId, type ProducerId, type RunResult, type TopicInfo } from '@popmq/protocol'
import { type AttemptOutcome, concernsRoute } from './attempt-verdict.ts'
import { kindOf } from './delay.ts'
import { LaneBoard, type LaneBoardOptions, undelivered } from './lane-board.ts'
import type { Lane, LaneTopic } from './lane.ts'
import type { Outlet } from './outlet.ts'
import { Partitioner } from './partitioner.ts'
import { placeRun, placeUnanswered } from './placed-run.ts'
import type { BatchedMessage, ProduceRequest } from './produce-request.ts'
import type { RouteTable } from './route-table.ts'
import { RunSequence } from './run-sequence.ts'
import { Run, smallestRunBytes } from './run.ts'

export interface BatcherOptions extends LaneBoardOptions {
  readonly deliverWithinMs: number
}

export interface BatcherDeps {
  readonly random: Random
  readonly crc32: Checksum
  readonly routes: RouteTable
  /** Told, once per run, that its records were told of their fate: their bytes are free again. */
  readonly settled: (run: Run, error: MqError | undefined) => void
}

/** Most runs in one request. */
const mostRuns = 4_096
const retryPause = { firstMs: 50, mostMs: 2_000 }
/** Records join a waiting run for this share of its delivery time, so that late ones have most of theirs. */
const joinShare = 0.1

/**
 * Gathers messages into runs per partition (lane) and runs into requests per broker (outlet). It decides only: what it
 * gives as a request is to be sent, and then answered by `answered`. Times are of the monotonic clock.
 */
export class Batcher {
  readonly #options: BatcherOptions
  readonly #deps: BatcherDeps
  readonly #board: LaneBoard
  readonly #topics = new Map<string, LaneTopic>()
  #producerId: ProducerId | undefined
  #fencedBy: MqError | undefined
  /** Bytes of records taken since the last request was looked for. */
  #gatheredBytes = 0
  /** Send without waiting for more. */
  isFlushing = false

  constructor(options: BatcherOptions, deps: BatcherDeps) {
    this.#options = options
    this.#deps = deps
    this.#board = new LaneBoard(options, deps.routes)
    // Without acks nobody says that a run was refused, so none may hang on the one before: id 0 asks for no protection.
    if (options.acks === 'none') this.#producerId = producerId(0)
  }

  /** Whether everything is settled. */
  get isIdle(): boolean {
    return this.#board.isIdle
  }

  /** The error that ended this producer for good. */
  get fencedBy(): MqError | undefined {
    return this.#fencedBy
  }

  /** Whether a full request may have gathered: then the broker need not wait for what is still being said. */
  get mayBeFull(): boolean {
    return this.#gatheredBytes >= this.#options.batchBytes
  }

  /** Whether a producer id is needed before more can be sent: answer with `identify`. */
  get wantsProducerId(): boolean {
    return this.#board.wantsProducerId
  }

  /** Whether routes may be out of date. Asking resets it. */
  takeRouteWish(): boolean {
    return this.#board.takeRouteWish()
  }

  identify(id: ProducerId): void {
    this.#producerId = id
    this.#board.identified()
    for (const lane of this.#board.lanes()) {
      lane.sequence.identify(id)
      this.#board.touch(lane)
    }
  }

  /**
   * Takes a message of a topic. Nothing is sent before `nextRequest`.
   * @throws MqError `partition_not_found`, `invalid_request`
   */
  add(info: TopicInfo, record: BatchedMessage): void {
    const topic = this.#topic(info)
    const lane = this.#choose(topic, record.message, record.partition)
    let run = lane.sequence.newest
    if (run === undefined || !this.#mayJoin(run, record)) {
      if (run !== undefined) topic.partitioner.nextTurn(lane.partition, info.sets.length)
      run = this.#openRun(lane, record)
    }
    run.add(record)
    this.#gatheredBytes += record.message.recordBytes
    this.#board.touch(lane)
  }

  /** The next request to send, or the next full one. @returns undefined when there is none now: see `wakesAt` */
  nextRequest(now: number, onlyFull = false): ProduceRequest | undefined {
    this.#gatheredBytes = 0
    this.#board.place(now)
    for (const outlet of this.#board.outlets) {
      while (onlyFull ? outlet.isFull : outlet.maySend(now, this.isFlushing)) {
        const request = this.#fill(outlet, now)
        if (request.runs.length > 0) return request
      }
    }
    return undefined
  }

  /** When `nextRequest` may have one by time alone. */
  get wakesAt(): number | undefined {
    return this.#board.wakesAt
  }

  /** Tells what a request brought: one outcome per run. */
  answered(request: ProduceRequest, outcomes: readonly AttemptOutcome[], now: number): void {
    request.outlet.inFlight -= 1
    request.runs.forEach((run, index) => {
      const lane = request.lanes[index]
      const outcome = outcomes[index]
      if (lane === undefined || outcome === undefined) return
      lane.sequence.answered(run, outcome, now)
      this.#board.touch(lane)
      if (outcome.kind === 'acked') return
      if (concernsRoute(outcome.error)) this.#board.wishRoutes()
      if (lane.sequence.isFenced) this.#fencedBy ??= outcome.error
    })
    if (this.#fencedBy !== undefined) this.end(this.#fencedBy)
    this.#board.place(now)
  }

  /** Ends the runs whose time is over. */
  expire(now: number): void {
    for (const lane of this.#board.lanes()) {
      lane.sequence.expire(now, () => undelivered(lane, this.#options.deliverWithinMs))
      this.#board.touch(lane)
    }
    this.#board.place(now)
  }

  /** Routes have changed. */
  rerouted(): void {
    for (const [name, topic] of this.#topics) {
      const info = this.#deps.routes.topic(name)
      if (info?.id === topic.info.id) topic.info = info
    }
    for (const lane of this.#board.lanes()) this.#board.touch(lane)
  }

  /** A topic is gone: its runs end. */
  endTopic(name: string, error: MqError): void {
    const topic = this.#topics.get(name)
    this.#topics.delete(name)
    for (const lane of topic?.lanes ?? []) {
      if (lane === undefined) continue
      lane.sequence.end(error)
      this.#board.touch(lane)
    }
  }

  /** Ends all runs: those that may have been stored as unknown, the others with `error`. */
  end(error: MqError): void {
    this.#board.identified()
    for (const lane of this.#board.lanes()) {
      lane.sequence.end(error)
      this.#board.touch(lane)
    }
  }

  stats(): { resentRuns: number; epochsTaken: number } {
    const total = { resentRuns: 0, epochsTaken: 0 }
    for (const { lanes } of this.#topics.values()) {
      for (const lane of lanes) {
        total.resentRuns += lane?.sequence.resentRuns ?? 0
        total.epochsTaken += lane?.sequence.epochsTaken ?? 0
      }
    }
    return total
  }

  #topic(info: TopicInfo): LaneTopic {
    const known = this.#topics.get(info.name)
    if (known?.info.id === info.id) return known
    const partitioner = new Partitioner(info.name, this.#deps.random)
    const topic = { info, lanes: [], partitioner }
    this.#topics.set(info.name, topic)
    return topic
  }

  /** The lane of a message. One that may go anywhere passes by partitions that cannot be sent to now. */
  #choose(topic: LaneTopic, message: PreparedMessage, named: number | undefined): Lane {
    const partitions = topic.info.sets.length
    const { partitioner } = topic
    let partition = partitioner.choose(message, partitions, named)
    const isFree = named === undefined && message.key === undefined && message.dedupId === undefined
    for (let tries = 1; isFree && tries < partitions; tries += 1) {
      if (!this.#isStuck(topic, partition)) break
      partitioner.nextTurn(partition, partitions)
      partition = partitioner.choose(message, partitions, named)
    }
    return (topic.lanes[partition] ??= this.#newLane(topic, partition))
  }

  #isStuck({ info, lanes }: LaneTopic, partition: number): boolean {
    const lane = lanes[partition]
    if (lane?.sequence.newest === undefined) {
      return this.#deps.routes.leader(info, partition) === undefined
    }
    return lane.state === 'paused' || lane.state === 'homeless'
  }

  #newLane(topic: LaneTopic, partition: number): Lane {
    const { crc32, random, settled } = this.#deps
    const sequence = new RunSequence({
      crc32,
      settled,
      backoff: new Backoff(random, retryPause),
      place: (run, result) => this.#tell(run, topic.info, result),
    })
    if (this.#producerId !== undefined) sequence.identify(this.#producerId)
    const start = { state: 'quiet', outlet: undefined, isTouched: false } as const
    return { topic, partition, sequence, ...start, roomBytes: smallestRunBytes }
  }

  #tell(run: Run, topic: TopicInfo, result: RunResult): void {
    if (this.#options.acks === 'none') placeUnanswered(run, topic)
    else placeRun(run, topic, result)
  }

  #mayJoin(run: Run, { message, owner }: BatchedMessage): boolean {
    return (
      run.target.kind === kindOf(message) &&
      run.recordBytes + message.recordBytes <= this.#options.batchBytes &&
      run.count < this.#options.batchMessages &&
      owner.expiresAt - run.expiresAt <= this.#options.deliverWithinMs * joinShare
    )
  }

  #openRun(lane: Lane, { message, owner }: BatchedMessage): Run {
    const { topic, partition } = lane
    const place = { topicId: topic.info.id, partition: partitionNumber(partition) }
    const target = { ...place, kind: kindOf(message) }
    const run = new Run(target, owner.expiresAt, Math.max(message.recordBytes, lane.roomBytes))
    lane.sequence.add(run)
    return run
  }

  /** Takes runs of ready lanes, one each, up to a full request. */
  #fill(outlet: Outlet, now: number): ProduceRequest {
    const { batchBytes } = this.#options
    const runs: Run[] = []
    const lanes: Lane[] = []
    let bytes = 0
    for (const lane of outlet.lanes) {
      const nextBytes = lane.sequence.peek()?.recordBytes ?? 0
      if (runs.length > 0 && bytes + nextBytes > batchBytes) break
      if (runs.length === mostRuns) break
      const run = lane.sequence.take()
      this.#board.touch(lane)
      if (run === undefined) continue
      runs.push(run)
      lanes.push(lane)
      bytes += run.recordBytes
      lane.roomBytes = Math.min(run.recordBytes + (run.recordBytes >> 3), batchBytes)
      lane.topic.partitioner.nextTurn(lane.partition, lane.topic.info.sets.length)
    }
    this.#board.place(now)
    if (runs.length > 0) outlet.inFlight += 1
    outlet.restartWait(now)
    return { outlet, runs, lanes }
  }
}
