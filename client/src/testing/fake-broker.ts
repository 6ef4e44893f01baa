import type { Clock } from '@popmq/kit'
import {
  type AckLevel,
  errorNumber,
  type fetch,
  type FetchedPartition,
  MqError,
} from '@popmq/protocol'
import { offset, type offsets, type produce, type purge, RecordView } from '@popmq/protocol'
import type { RequestOf } from '@popmq/protocol'
import type { Answer } from '@popmq/transport'
import type { FakeLog } from './fake-log.ts'

/** Why a broker does not serve a partition. */
export interface Refusal {
  readonly error: number
  readonly what: string
}

export interface FakeBrokerDeps {
  readonly clock: Clock
  readonly log: (topicId: number, partition: number) => FakeLog
  readonly refusal: (topicId: number, partition: number) => Refusal | undefined
  /** The newest grant seen, by group and partition. */
  readonly grants: Map<string, number>
  /** Held requests of all brokers: woken by each append. */
  readonly waiting: Set<() => void>
}

/** Answers what a broker answers. */
export class FakeBroker {
  readonly #deps: FakeBrokerDeps

  constructor(deps: FakeBrokerDeps) {
    this.#deps = deps
  }

  produce({ acks, runs }: RequestOf<typeof produce>, bytes: Uint8Array) {
    let at = 0
    const results = runs.map((run) => {
      const refusal = this.#deps.refusal(run.topicId, run.partition)
      const ofRun = bytes.slice(at, at + run.bytes)
      at += run.bytes
      if (refusal !== undefined) return refusal
      const { error, ...placed } = this.#deps
        .log(run.topicId, run.partition)
        .append(ofRun, this.#deps.clock.now())
      if (error !== undefined) return { error: errorNumber(error), what: `the fake says ${error}` }
      const { baseOffset, deduplicated, ...rest } = placed
      return {
        ...rest,
        level: levelOf(acks),
        ...(baseOffset === undefined ? {} : { baseOffset: offset(baseOffset) }),
        ...(deduplicated === undefined
          ? {}
          : {
              deduplicated: deduplicated.map((each) => ({
                ...each,
                partition: run.partition,
                offset: offset(each.offset),
              })),
            }),
      }
    })
    for (const wake of [...this.#deps.waiting]) wake()
    return acks === 'none' ? undefined : { reply: { results } }
  }

  async fetch(request: RequestOf<typeof fetch>): Promise<Answer<{ results: FetchedResult[] }>> {
    const endsAt = this.#deps.clock.monotonic() + request.waitMs
    for (;;) {
      const found = this.#read(request)
      const leftMs = endsAt - this.#deps.clock.monotonic()
      if (found.reply.results.length > 0 || leftMs <= 0) return found
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          timer.cancel()
          this.#deps.waiting.delete(wake)
          resolve()
        }
        const timer = this.#deps.clock.after(leftMs, wake)
        this.#deps.waiting.add(wake)
      })
    }
  }

  #read({ partitions, maxBytes }: RequestOf<typeof fetch>) {
    const results: FetchedResult[] = []
    const slices: Uint8Array[] = []
    let room = maxBytes
    for (const asked of partitions) {
      const { topicId: topic, partition, offset: from } = asked
      const log = this.#deps.log(topic, partition)
      const place = { topicId: topic, partition, ...bounds(log), next: from, bytes: 0 }
      const refusal = this.#deps.refusal(topic, partition) ?? this.#fence(asked)
      if (refusal !== undefined) results.push({ ...place, ...refusal })
      else if (from < log.low || from > log.high) {
        const what = `offset ${from} is not from ${log.low} to ${log.high}`
        results.push({ ...place, error: errorNumber('offset_out_of_range'), what })
      } else {
        const read = select(log, asked, room)
        room -= read.bytes
        slices.push(...read.slices)
        if (read.next > from) results.push({ ...place, next: offset(read.next), bytes: read.bytes })
      }
    }
    return { reply: { results }, slices }
  }

  #fence({ grant, topicId, partition }: FetchedPartition): Refusal | undefined {
    if (grant === undefined) return undefined
    const key = `${grant.groupId}/${topicId}/${partition}`
    const newest = this.#deps.grants.get(key) ?? 0
    this.#deps.grants.set(key, Math.max(newest, grant.epoch))
    if (grant.epoch >= newest) return undefined
    return { error: errorNumber('grant_fenced'), what: `grant ${newest} was seen` }
  }

  offsets({ partitions }: RequestOf<typeof offsets>) {
    const results = partitions.map(({ topicId: topic, partition, at }) => {
      const log = this.#deps.log(topic, partition)
      const found = log.records.findIndex((bytes) => new RecordView(bytes).appendedAt >= (at ?? 0))
      const first = found === -1 ? log.high : log.low + found
      const ofTime = at === undefined ? {} : { offset: offset(first) }
      return { topicId: topic, partition, ...bounds(log), ...ofTime }
    })
    return { reply: { results } }
  }

  purge({ topicId, partition, before }: RequestOf<typeof purge>) {
    const log = this.#deps.log(topicId, partition)
    if (before > log.high) throw new MqError('offset_out_of_range', `high is ${log.high}`)
    log.dropOldest(Math.max(0, before - log.low))
    return { reply: bounds(log) }
  }
}

type FetchedResult = ReturnType<typeof fetch.reply>['results'][number]

function levelOf(acks: AckLevel): 'received' | 'disk' | 'quorum' {
  return acks === 'none' ? 'received' : acks
}

function bounds({ low, high }: FakeLog) {
  return { low: offset(low), high: offset(high) }
}

function select(log: FakeLog, { offset: from, tagHashes }: FetchedPartition, room: number) {
  const slices: Uint8Array[] = []
  let bytes = 0
  let next: number = from
  for (const record of log.records.slice(from - log.low)) {
    const isWanted = tagHashes === undefined || tagHashes.includes(new RecordView(record).tagHash)
    if (isWanted && bytes > 0 && bytes + record.length > room) break
    if (isWanted && bytes === 0 && room <= 0) break
    next += 1
    if (!isWanted) continue
    slices.push(record)
    bytes += record.length
  }
  return { slices, bytes, next }
}
