import { type Clock, type Random, sleep } from '@popmq/kit'
import {
  type Checksum,
  type GroupId,
  type HandleKey,
  isMqError,
  type LogPosition,
  type Offset,
  type PartitionKey,
  type PartitionState,
  RecordView,
  type ServedGroup,
  type TimeMs,
  type TopicId,
} from '@popmq/protocol'
import type { Appender } from './appender.ts'
import { EntryView } from './consume-queue/index.ts'
import { LetterChanges } from './dead-letters/index.ts'
import type { DeliveryLog, RecordPlace } from './delivery/delivery-log.ts'
import { Dispatch } from './delivery/dispatch.ts'
import { type LetterCounts, reportGroup } from './delivery/group-report.ts'
import { Intents } from './delivery/intents.ts'
import type { Authenticate } from './delivery/lease-token.ts'
import { Firing } from './holds/firing.ts'
import { SteadyTime } from './holds/steady-time.ts'
import type { CommitLog } from './log/commit-log.ts'
import type { LogReader } from './log/log-reader.ts'
import type { Topics } from './topics.ts'
import type { ViewSet } from './view-set.ts'
import type { Views } from './views.ts'

export interface DeliveringParts {
  readonly clock: Clock
  readonly random: Random
  readonly crc32: Checksum
  readonly authenticate: Authenticate
  readonly setId: number
  readonly viewSet: ViewSet
  readonly views: Pick<Views, 'whenApplied'>
  readonly log: Pick<CommitLog, 'whenSynced' | 'flushPatient' | 'end'>
  readonly appender: Pick<Appender, 'appendControl' | 'appendCopy'>
  readonly reader: LogReader
  readonly topics: Topics
  /** The append time of the newest record at the start. */
  readonly lastAppendedAt: TimeMs
  /** A delayed message cannot be made visible for now. */
  readonly onUnfit: (number: number, error: unknown) => void
  readonly onFailed: (error: unknown) => void
}

/**
 * What the leader of a replica set does beyond storing and reading: it hands messages out to groups, makes delayed ones
 * visible in time, and changes dead letters. The views say what was done; this decides what is done next.
 */
export class Delivering {
  readonly dispatch: Dispatch
  readonly firing: Firing
  readonly letterChanges: LetterChanges
  /** The log as deliveries write and read it. */
  readonly log: DeliveryLog
  /** `readRecord`, as a function of its own. */
  readonly readRecordAt = (position: LogPosition, bytes: number): Promise<RecordView> =>
    this.readRecord({ position, bytes })
  readonly #parts: DeliveringParts
  readonly #intents = new Intents()
  readonly #closing = new AbortController()
  #groups: readonly ServedGroup[] = []
  readonly #entry = new EntryView()

  constructor(parts: DeliveringParts) {
    this.#parts = parts
    const { clock, viewSet, appender, topics } = parts
    const { queues, delivery, delays, letters } = viewSet
    this.log = this.#deliveryLog()
    const { log } = this
    const time = new SteadyTime(clock, parts.lastAppendedAt)
    const dueTime = { nowMs: () => time.now() }
    this.dispatch = new Dispatch({ ...parts, dueTime, delivery, queues, log })
    this.firing = new Firing({
      ...parts,
      delays,
      appender,
      topics,
      readRecord: this.readRecordAt,
      whenSynced: (end) => parts.log.whenSynced(end),
      whenApplied: (end) => parts.views.whenApplied(end),
    })
    this.letterChanges = new LetterChanges({
      letters,
      appendControl: (control) => appender.appendControl(control),
      whenDone: (end) => log.whenDone(end),
    })
  }

  /** Begins; the views hold all that is committed. */
  start(groups: readonly ServedGroup[], keys: readonly HandleKey[]): void {
    this.dispatch.useKeys(keys)
    // On a full disk the resets wait, and reads go on.
    this.update(groups).catch((error: unknown) => this.#parts.onFailed(error))
    this.firing.start()
  }

  /** Takes the list of groups anew; resolves once resets in it are carried out, however long a full disk takes. */
  async update(groups: readonly ServedGroup[]): Promise<void> {
    this.#groups = groups
    while (!this.#closing.signal.aborted) {
      try {
        // While a full disk was waited for a newer list may have come.
        return await this.dispatch.update(this.#groups)
      } catch (error) {
        if (!isMqError(error)) throw error
        await sleep(this.#parts.clock, retryMs, this.#closing.signal)
      }
    }
  }

  /** The views have come so far, and messages became visible in these partitions. */
  applied(position: LogPosition, visible: Iterable<PartitionKey>): void {
    this.#intents.applied(position)
    this.dispatch.visible(visible)
  }

  /** What nobody waits for is synced now and then, so that little of it is lost in a crash. */
  tick(): void {
    this.#parts.log.flushPatient()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.dispatch.close()
    await this.firing.close()
  }

  /** A record that a view points at now. */
  async readRecord({ position, bytes }: RecordPlace): Promise<RecordView> {
    return new RecordView(await this.log.pinned(() => this.log.readOne({ position, bytes })))
  }

  /** A dead letter's record; undefined when it is not there any more. */
  async readLetter(groupId: GroupId, letter: Offset): Promise<RecordView | undefined> {
    const { topics, viewSet } = this.#parts
    const key = topics.ledDead(groupId)?.key
    if (key === undefined) return undefined
    return this.log.pinned(async () => {
      const { low, high } = viewSet.queues.bounds(key)
      if (letter < low || letter >= high) return undefined
      const entries = await viewSet.queues.slice(key, letter, { maxEntries: 1 })
      const { position, size: bytes } = entries.entry(0, this.#entry)
      return new RecordView(await this.log.readOne({ position, bytes }))
    })
  }

  /** Where the messages of a group are, in the partitions that are led here. Empty for a group that is not known. */
  async report(groupId: GroupId): Promise<GroupReport> {
    const { topics, viewSet, log, views } = this.#parts
    const served = topics.group(groupId)
    if (served === undefined) return { partitions: [], delayed: [] }
    // Deliveries that nobody waits for are told too.
    log.flushPatient()
    await views.whenApplied(log.end)
    const group = this.dispatch.group(groupId)
    const read = served.topics.filter(({ mode }) => mode !== 'broadcast')
    const infos = read.flatMap(({ topicId }) => topics.get(topicId) ?? [])
    const letters = new Map(
      viewSet.letters
        .find(groupId)
        ?.places()
        .map((place) => [place.key, place]),
    )
    const partitions = await reportGroup(
      group,
      infos.flatMap((info) => topics.ledKeys(info)),
      {
        delivery: viewSet.delivery,
        bounds: (key) => viewSet.queues.bounds(key),
        appendedAt: (key, at) => this.#appendedAt(key, at),
        letters: (_group, key): LetterCounts => {
          const { open = 0, left = 0, oldestOpen } = letters.get(key) ?? {}
          return { open, left, oldestAt: oldestOpen?.firstAppendedAt }
        },
      },
    )
    const delayed = infos.map(({ id }) => ({ topicId: id, count: viewSet.delays.count(id) }))
    return { partitions, delayed: delayed.filter(({ count }) => count > 0) }
  }

  /** Offsets of a pulled partition that were set aside: a group is not told of them again. */
  asideOf(groupId: GroupId, key: PartitionKey): ReadonlySet<Offset> | undefined {
    const ahead = this.#parts.viewSet.delivery.find(groupId, key)?.ahead
    return ahead === undefined || ahead.size === 0 ? undefined : ahead
  }

  async #appendedAt(key: PartitionKey, at: Offset): Promise<TimeMs | undefined> {
    const { queues } = this.#parts.viewSet
    const { low, high } = queues.bounds(key)
    if (at < low) return queues.kept(key, at)?.appendedAt
    if (at >= high) return undefined
    const entries = await queues.slice(key, at, { maxEntries: 1 })
    return entries.count === 0 ? undefined : entries.entry(0, this.#entry).appendedAt
  }

  #deliveryLog(): DeliveryLog {
    const { appender, log, views, reader } = this.#parts
    return {
      appendControl: (control, options) => appender.appendControl(control, options),
      appendCopy: (bytes, key) => appender.appendCopy(bytes, key),
      whenDone: async (end) => {
        await log.whenSynced(end)
        await views.whenApplied(end)
      },
      read: (places) => readAll(reader, places),
      readOne: async (place) => together(await readAll(reader, [place]), place.bytes),
      pinned: (reading) => reader.pinned(reading),
      until: (end, drop) => this.#intents.until(end, drop),
    }
  }
}

/** A full disk is left alone for so long. */
const retryMs = 1_000

export interface GroupReport {
  readonly partitions: PartitionState[]
  readonly delayed: { readonly topicId: TopicId; readonly count: number }[]
}

/** Neighbours are read together. */
async function readAll(reader: LogReader, places: readonly RecordPlace[]): Promise<Uint8Array[]> {
  const slices: Uint8Array[] = []
  for (let at = 0; at < places.length;) {
    const from = places[at]?.position ?? 0
    let to = from
    for (; at < places.length && places[at]?.position === to; at += 1) to += places[at]?.bytes ?? 0
    const read = reader.read(from as LogPosition, to as LogPosition)
    slices.push(...(Array.isArray(read) ? read : await read))
  }
  return slices
}

function together(slices: readonly Uint8Array[], bytes: number): Uint8Array {
  const [only] = slices
  if (only !== undefined && slices.length === 1) return only
  const whole = new Uint8Array(bytes)
  let at = 0
  for (const slice of slices) {
    whole.set(slice, at)
    at += slice.length
  }
  return whole
}
