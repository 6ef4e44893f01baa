import { assert, present } from '@popmq/kit'
import {
  limits,
  logPosition,
  type LogPosition,
  offset,
  type Offset,
  type PartitionKey,
  partitionKey,
  partitionNumber,
  producerId as checkedProducerId,
  type ProducerId,
  readU48,
  readU64,
  type TimeMs,
  type TopicId,
  writeU48,
  writeU64,
} from '@popmq/protocol'

/** How many runs of one producer in one partition are remembered. */
export const windowRuns = 5

/** A run that was appended. */
export interface HeldRun {
  readonly base: number
  readonly count: number
  /** Fold over the crcs of its records, never 0; 0 when it is not known. */
  readonly crc: number
  /** How many of its records are in the log: fewer than `count` when dedup ids dropped some. */
  readonly appended: number
  readonly appendedAt: TimeMs
  readonly baseOffset: Offset
  readonly end: LogPosition
}

/** Number of a window in memory: used again after the window was removed. */
export type Slot = number

/**
 * The last runs of every (producer, partition), as fixed slots of memory; a list through the slots keeps them in the
 * order of their last append. A slot, little-endian:
 *
 *     0  u32  the slot appended to before, and  4  u32  after this one: the list, not in snapshots
 *     8  u48  producer id
 *    14  u16  producer epoch
 *    16  u48  partition key
 *    22  u16  runs held, 1 to 5
 *    24       runs, oldest first, 34 bytes each:
 *                 0  u32  base      4  u32  crc      8  u16  count      10  u16  appended
 *                12  u48  appended at               18  u64  base offset     26  u64  end
 *
 * 194 bytes a window, and about 60 for finding it; a snapshot takes [8, 24) and the runs held.
 */
export class RunWindows {
  readonly #chunks: DataView[] = []
  readonly #slots = new Map<PartitionKey, Map<ProducerId, Slot>>()
  readonly #free: Slot[] = []
  #made = 0
  #size = 0
  #oldest: Slot = none
  #newest: Slot = none

  get size(): number {
    return this.#size
  }

  /** The window appended to longest ago. @returns undefined when there is none */
  get oldest(): Slot | undefined {
    return this.#oldest === none ? undefined : this.#oldest
  }

  /** The window appended to next after `slot`. @returns undefined when `slot` is the last */
  after(slot: Slot): Slot | undefined {
    const next = this.#u32(slot, at.next)
    return next === none ? undefined : next
  }

  find(producerId: ProducerId, key: PartitionKey): Slot | undefined {
    return this.#slots.get(key)?.get(producerId)
  }

  /** Makes an empty window, the newest. There must be none yet for the two. */
  add(producerId: ProducerId, key: PartitionKey): Slot {
    let producers = this.#slots.get(key)
    if (producers === undefined) this.#slots.set(key, (producers = new Map()))
    assert(!producers.has(producerId), 'a producer has one window in a partition')
    const slot = this.#free.pop() ?? this.#make()
    producers.set(producerId, slot)
    const { view, start } = this.#place(slot)
    writeU48(view, start + at.producerId, producerId)
    writeU48(view, start + at.key, key)
    this.begin(slot, 0)
    this.#link(slot)
    this.#size += 1
    return slot
  }

  remove(slot: Slot): void {
    this.#unlink(slot)
    const key = this.keyOf(slot)
    const producers = present(this.#slots.get(key), 'a window is found by its partition')
    producers.delete(this.producerOf(slot))
    if (producers.size === 0) this.#slots.delete(key)
    this.#free.push(slot)
    this.#size -= 1
  }

  /** @returns the slots that were removed */
  removeTopic(topicId: TopicId): Slot[] {
    const removed: Slot[] = []
    for (let partition = 0; partition < limits.partitionsPerTopic; partition += 1) {
      const producers = this.#slots.get(partitionKey(topicId, partitionNumber(partition)))
      for (const slot of producers?.values() ?? []) removed.push(slot)
    }
    for (const slot of removed) this.remove(slot)
    return removed
  }

  producerOf(slot: Slot): ProducerId {
    const { view, start } = this.#place(slot)
    return checkedProducerId(readU48(view, start + at.producerId))
  }

  keyOf(slot: Slot): PartitionKey {
    const { view, start } = this.#place(slot)
    return readU48(view, start + at.key) as PartitionKey
  }

  epochOf(slot: Slot): number {
    const { view, start } = this.#place(slot)
    return view.getUint16(start + at.epoch, true)
  }

  /** How many runs the window holds. */
  held(slot: Slot): number {
    const { view, start } = this.#place(slot)
    return view.getUint16(start + at.held, true)
  }

  /** The run at `index`, 0 the oldest. */
  run(slot: Slot, index: number): HeldRun {
    const { view, start } = this.#place(slot)
    const run = start + at.runs + index * runBytes
    return {
      base: view.getUint32(run + inRun.base, true),
      count: view.getUint16(run + inRun.count, true),
      crc: view.getUint32(run + inRun.crc, true),
      appended: view.getUint16(run + inRun.appended, true),
      appendedAt: readU48(view, run + inRun.appendedAt),
      baseOffset: offset(readU64(view, run + inRun.baseOffset)),
      end: logPosition(readU64(view, run + inRun.end)),
    }
  }

  /** `run(slot, index).appendedAt`, without making the run. */
  appendedAt(slot: Slot, index: number): TimeMs {
    const { view, start } = this.#place(slot)
    return readU48(view, start + at.runs + index * runBytes + inRun.appendedAt)
  }

  /** Empties the window and gives it an epoch. */
  begin(slot: Slot, producerEpoch: number): void {
    const { view, start } = this.#place(slot)
    view.setUint16(start + at.epoch, producerEpoch, true)
    view.setUint16(start + at.held, 0, true)
  }

  /** Adds a run, the newest of its window and of all; a sixth pushes out the oldest. */
  push(slot: Slot, run: HeldRun): void {
    const { view, start } = this.#place(slot)
    let held = this.held(slot)
    const runs = start + at.runs
    if (held === windowRuns) {
      new Uint8Array(view.buffer).copyWithin(runs, runs + runBytes, runs + windowRuns * runBytes)
      held -= 1
    }
    writeRun(view, runs + held * runBytes, run)
    view.setUint16(start + at.held, held + 1, true)
    if (slot === this.#newest) return
    this.#unlink(slot)
    this.#link(slot)
  }

  /** A view of what a snapshot takes of a window: valid until the window changes. */
  bytesOf(slot: Slot): Uint8Array {
    const { view, start } = this.#place(slot)
    const size = windowHeadBytes + this.held(slot) * runBytes
    return new Uint8Array(view.buffer, start + at.producerId, size)
  }

  #make(): Slot {
    const slot = this.#made
    if (slot % chunkSlots === 0) {
      this.#chunks.push(new DataView(new ArrayBuffer(chunkSlots * slotBytes)))
    }
    this.#made += 1
    return slot
  }

  #place(slot: Slot): { view: DataView; start: number } {
    const view = present(this.#chunks[Math.floor(slot / chunkSlots)], 'a slot has been made')
    return { view, start: (slot % chunkSlots) * slotBytes }
  }

  #link(slot: Slot): void {
    this.#setU32(slot, at.previous, this.#newest)
    this.#setU32(slot, at.next, none)
    if (this.#newest === none) this.#oldest = slot
    else this.#setU32(this.#newest, at.next, slot)
    this.#newest = slot
  }

  #unlink(slot: Slot): void {
    const previous = this.#u32(slot, at.previous)
    const next = this.#u32(slot, at.next)
    if (previous === none) this.#oldest = next
    else this.#setU32(previous, at.next, next)
    if (next === none) this.#newest = previous
    else this.#setU32(next, at.previous, previous)
  }

  #u32(slot: Slot, field: number): number {
    const { view, start } = this.#place(slot)
    return view.getUint32(start + field, true)
  }

  #setU32(slot: Slot, field: number, value: number): void {
    const { view, start } = this.#place(slot)
    view.setUint32(start + field, value, true)
  }
}

/** Bytes of a window in a snapshot before its runs, and of each run. */
export const windowHeadBytes = 16
export const runBytes = 34

/** No slot: the end of the list. */
const none = 0xffff_ffff
const chunkSlots = 1_024
const at = { previous: 0, next: 4, producerId: 8, epoch: 14, key: 16, held: 22, runs: 24 } as const
const slotBytes = at.runs + windowRuns * runBytes
const inRun = {
  base: 0,
  crc: 4,
  count: 8,
  appended: 10,
  appendedAt: 12,
  baseOffset: 18,
  end: 26,
} as const

function writeRun(view: DataView, start: number, run: HeldRun): void {
  view.setUint32(start + inRun.base, run.base, true)
  view.setUint32(start + inRun.crc, run.crc, true)
  view.setUint16(start + inRun.count, run.count, true)
  view.setUint16(start + inRun.appended, run.appended, true)
  writeU48(view, start + inRun.appendedAt, run.appendedAt)
  writeU64(view, start + inRun.baseOffset, run.baseOffset)
  writeU64(view, start + inRun.end, run.end)
}
