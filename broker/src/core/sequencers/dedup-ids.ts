import { assert, Heap } from '@popmq/kit'
import {
  flags,
  limits,
  type LogPosition,
  logPosition,
  marks,
  type Offset,
  offset,
  partitionNumber,
  type PartitionNumber,
  recordFixedBytes,
  type RecordView,
  recordKinds,
  type TimeMs,
  topicId as checkedTopicId,
  type TopicId,
} from '@popmq/protocol'
import type { Sequencer } from './sequencer.ts'
import { SnapshotReader, SnapshotWriter } from './snapshot-bytes.ts'

/** Where the first message with a dedup id lies. */
export interface FirstReceipt {
  readonly partition: PartitionNumber
  readonly offset: Offset
  readonly appendedAt: TimeMs
  /** Behind its record: it has the level asked when the log has it up to here. */
  readonly end: LogPosition
}

export interface DedupIdsOptions {
  /** The window of a topic in ms, as configured now: for ids that are found in the log. 0: none, also for no topic. */
  readonly windowMsOf: (topicId: TopicId) => number
  /** Most ids. @defaultValue 1_000_000 */
  readonly most?: number
  /** Most bytes, an id being reckoned at 200 and its length. @defaultValue 268_435_456 */
  readonly mostBytes?: number
}

/**
 * The dedup ids of each topic, with the receipt of the first message that bore one, until that message's append time
 * plus the topic's window. A delayed message counts from when it was sent, and its held number stands for its offset.
 * Ids are compared byte by byte. The window is that of the moment of the append; an id found in the log after a restart
 * gets the window of now.
 *
 *     absent    find: nothing      remember → present
 *     present   find: the receipt, as long as appended at + window > now; after that nothing, though it is still held
 *               remember (only what find did not give) or a later record in the log → present with the later receipt
 *               expire, once the window is over → absent
 *
 * An id is never forgotten early to make room, for that would break what was promised. Instead `isFull` says that no
 * run with dedup ids may be appended (`broker_busy`) until ids have expired. Asked once per run, the bound is passed by
 * at most the ids of one run; records observed in the log are remembered in any case.
 *
 * Snapshot: version u8 | ids u32 | ids, in the order in which each topic remembered them:
 *    topic id u32 | partition u16 | appended at u48 | expires at u64 | offset u64 | end u64 | length u8 | id
 */
export class DedupIds implements Sequencer {
  readonly #windowMsOf: (topicId: TopicId) => number
  readonly #most: number
  readonly #mostBytes: number
  #topics = new Map<TopicId, Map<IdText, Entry>>()
  /** Every present entry, and replaced ones until their time comes. */
  #byExpiry = newHeap()
  #size = 0
  #bytes = 0

  constructor({ windowMsOf, most = 1_000_000, mostBytes = 268_435_456 }: DedupIdsOptions) {
    this.#windowMsOf = windowMsOf
    this.#most = most
    this.#mostBytes = mostBytes
  }

  /** Ids held, some perhaps expired and not yet dropped. */
  get size(): number {
    return this.#size
  }

  /** Whether ids fill the bound. Call `expire` first: what has expired counts until then. */
  get isFull(): boolean {
    return this.#size >= this.#most || this.#bytes >= this.#mostBytes
  }

  /** @returns undefined when the id was not seen, or its window is over at `nowMs` */
  find(topicId: TopicId, id: Uint8Array, nowMs: TimeMs): FirstReceipt | undefined {
    const entry = this.#topics.get(topicId)?.get(idText(id))
    return entry === undefined || entry.expiresAt <= nowMs ? undefined : entry
  }

  /** Remembers an id that `find` did not give, for `windowMs` from its append; 0 remembers nothing. */
  remember(topicId: TopicId, id: Uint8Array, receipt: FirstReceipt & { windowMs: number }): void {
    const { windowMs, partition, appendedAt, end } = receipt
    assert(id.length <= limits.dedupIdBytes, 'a dedup id is no longer than the limit')
    if (windowMs <= 0) return
    const expiresAt = appendedAt + windowMs
    this.#add({
      topicId,
      id: idText(id),
      partition,
      offset: receipt.offset,
      appendedAt,
      end,
      expiresAt,
    })
  }

  /** Drops ids whose window is over, the first to end first, some thousands a call at most. */
  expire(nowMs: TimeMs): void {
    for (let dropped = 0; dropped < mostDroppedPerCall; dropped += 1) {
      const first = this.#byExpiry.peek()
      if (first === undefined || first.expiresAt > nowMs) return
      this.#byExpiry.pop()
      if (this.#topics.get(first.topicId)?.get(first.id) === first) this.#remove(first)
    }
  }

  observe(record: RecordView): void {
    if (record.kind === recordKinds.topic_gone) this.forgetTopic(record.topicId)
    if (!isFirst(record)) return
    const id = dedupIdOf(record)
    if (id === undefined) return
    if (this.isFull) this.expire(record.appendedAt)
    this.remember(record.topicId, id, {
      partition: record.partition,
      offset: record.offset,
      appendedAt: record.appendedAt,
      end: logPosition(record.position + record.length),
      windowMs: this.#windowMsOf(record.topicId),
    })
  }

  forgetTopic(topicId: TopicId): void {
    if (!this.#topics.has(topicId)) return
    for (const entry of this.#topics.get(topicId)?.values() ?? []) this.#remove(entry)
    this.#byExpiry = newHeap()
    for (const entries of this.#topics.values()) {
      for (const entry of entries.values()) this.#byExpiry.push(entry)
    }
  }

  clear(): void {
    this.#topics = new Map()
    this.#byExpiry = newHeap()
    this.#size = 0
    this.#bytes = 0
  }

  encode(): Uint8Array {
    const idBytes = this.#bytes - this.#size * overheadBytes
    const writer = new SnapshotWriter(1 + 4 + this.#size * entryFixedBytes + idBytes, version)
    writer.u32(this.#size)
    for (const entries of this.#topics.values()) {
      for (const entry of entries.values()) writeEntry(writer, entry)
    }
    return writer.finish()
  }

  restore(bytes: Uint8Array): void {
    const fresh = new DedupIds({ windowMsOf: this.#windowMsOf })
    const entries = readEntries(bytes)
    for (const entry of entries) fresh.#add(entry)
    assert(fresh.#size === entries.length, 'an id is once in a snapshot')
    this.#topics = fresh.#topics
    this.#byExpiry = fresh.#byExpiry
    this.#size = fresh.#size
    this.#bytes = fresh.#bytes
  }

  #add(entry: Entry): void {
    const known = this.#topics.get(entry.topicId)?.get(entry.id)
    if (known !== undefined) this.#remove(known)
    const entries = this.#topics.get(entry.topicId) ?? new Map<IdText, Entry>()
    this.#topics.set(entry.topicId, entries.set(entry.id, entry))
    this.#byExpiry.push(entry)
    this.#size += 1
    this.#bytes += overheadBytes + entry.id.length
  }

  #remove(entry: Entry): void {
    const entries = this.#topics.get(entry.topicId)
    entries?.delete(entry.id)
    if (entries?.size === 0) this.#topics.delete(entry.topicId)
    this.#size -= 1
    this.#bytes -= overheadBytes + entry.id.length
  }
}

/** Whether the record is a message as its producer sent it, and no copy: a copy bears the id of the first one. */
function isFirst(record: RecordView): boolean {
  if ((record.marks & marks.moved) !== 0) return false
  if (record.kind === recordKinds.delayed) return true
  return record.kind === recordKinds.message && (record.flags & flags.source) === 0
}

/**
 * A view of a record's dedup id.
 * @returns undefined when it has none; also when its sections do not add up or the id is longer than the limit, which
 * is refused before a record is appended
 */
export function dedupIdOf(record: RecordView): Uint8Array | undefined {
  if ((record.flags & flags.dedupId) === 0) return undefined
  const { bytes } = record
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const bodyStart = record.end - record.bodyLength
  let at = record.start + recordFixedBytes + ((record.flags & flags.deliverAt) === 0 ? 0 : 8)
  for (const [flag, lengthBytes] of sectionsBefore) {
    if ((record.flags & flag) === 0) continue
    if (at + lengthBytes > bodyStart) return undefined
    at += lengthBytes + (lengthBytes === 2 ? view.getUint16(at, true) : view.getUint32(at, true))
  }
  if (at + 2 > bodyStart) return undefined
  const length = view.getUint16(at, true)
  if (length > limits.dedupIdBytes || at + 2 + length > bodyStart) return undefined
  return bytes.subarray(at + 2, at + 2 + length)
}

/** The sections that may lie between `deliver at` and the dedup id, and how long their lengths are. */
const sectionsBefore = [
  [flags.tag, 2],
  [flags.key, 2],
  [flags.headers, 4],
] as const

/** A dedup id with each byte as one char, so that it can be a Map key whatever its bytes are. */
type IdText = string

interface Entry extends FirstReceipt {
  readonly topicId: TopicId
  readonly id: IdText
  readonly expiresAt: TimeMs
}

const version = 1
const entryFixedBytes = 4 + 2 + 6 + 8 + 8 + 8 + 1
/** What an id is reckoned at beside its own bytes. */
const overheadBytes = 200
/** How many ids one `expire` drops, so that a call stays below some ms. */
const mostDroppedPerCall = 10_000

function newHeap(): Heap<Entry> {
  return new Heap((a, b) => a.expiresAt < b.expiresAt)
}

/** `apply` takes any array-like and is several times faster than spreading; ids are short. */
function idText(id: Uint8Array): IdText {
  return String.fromCharCode.apply(null, id as Uint8Array & number[])
}

function writeEntry(writer: SnapshotWriter, entry: Entry): void {
  writer.u32(entry.topicId)
  writer.u16(entry.partition)
  writer.u48(entry.appendedAt)
  writer.u64(entry.expiresAt)
  writer.u64(entry.offset)
  writer.u64(entry.end)
  writer.u8(entry.id.length)
  writer.chars(entry.id)
}

function readEntries(bytes: Uint8Array): Entry[] {
  const reader = new SnapshotReader(bytes, version)
  const size = reader.u32()
  assert(size * entryFixedBytes <= bytes.length, 'a snapshot holds as many as it says')
  const entries: Entry[] = []
  for (let index = 0; index < size; index += 1) entries.push(readEntry(reader))
  reader.finish()
  return entries
}

function readEntry(reader: SnapshotReader): Entry {
  const topicId = checkedTopicId(reader.u32())
  const partition = partitionNumber(reader.u16())
  const appendedAt = reader.u48()
  const expiresAt = reader.u64()
  const at = offset(reader.u64())
  const end = logPosition(reader.u64())
  const length = reader.u8()
  assert(length <= limits.dedupIdBytes, 'a dedup id is no longer than the limit')
  assert(expiresAt > appendedAt, 'a window is longer than 0')
  const id = idText(reader.bytes(length))
  return { topicId, id, partition, offset: at, appendedAt, end, expiresAt }
}
