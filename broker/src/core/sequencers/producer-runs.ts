import { assert } from '@popmq/kit'
import { type RecordView, recordKinds, type TimeMs, type TopicId } from '@popmq/protocol'
import { DroppedRecords } from './dropped-records.ts'
import { RunAssembly } from './run-assembly.ts'
import { decodeRunWindows, encodeRunWindows } from './run-windows-snapshot.ts'
import { type HeldRun, RunWindows, type Slot, windowRuns } from './run-windows.ts'
import { isRunCount, lastSequence, type PlacedRun, type Run, runLifetimeMs } from './run.ts'
import type { RunVerdict } from './run.ts'
import type { Sequencer } from './sequencer.ts'

export interface ProducerRunsOptions {
  /** Most (producer, partition) pairs remembered, about 250 bytes each. @defaultValue 1_000_000 */
  readonly most?: number
  /** Most dropped records listed, over all runs, about 50 bytes each. @defaultValue 1_000_000 */
  readonly mostDropped?: number
}

/**
 * Makes a run that is sent twice lie in the log once. Each (producer, partition) is in one of two states:
 *
 *     forgotten           never seen, or every run of it has expired, or pushed out by `most` (below)
 *     known at epoch e    with its last five runs, oldest first; next = base + count of the newest
 *
 * A run is judged first and recorded once it was appended; only `record` changes state:
 *
 *     forgotten           base 0                                      append     → known at its epoch, one run
 *                         base > 0                                    unknown
 *     known at e          epoch < e                                   fenced
 *                         epoch > e, base 0                           append     → known at the new epoch, one run
 *                         epoch > e, base > 0                         unknown
 *                         base = next                                 append     → a sixth run pushes out the oldest
 *                         base > next                                 gap
 *                         a run of the window: same base, count, crc  duplicate
 *                         base below the window                       tooOld
 *                         any other base < next, or other crc/count   reused
 *                         base = next, base + count > 2^32−1          reused     (sequences would start over)
 *     known at e          1 h after the append of its newest run      forgotten; older runs of a window one by one
 *
 * Where memory ends: beyond `most` pairs the one appended to longest ago is forgotten early. Its next run is then
 * `unknown`, never appended twice under the same base, except a re-sent run with base 0, and its epoch fences no more.
 *
 * Dropped records: which ones dedup ids dropped is kept in memory only, up to `mostDropped`. After a restart (or beyond
 * that) a duplicate says how many were `appended` but lists none. The caller then asks DedupIds for the ids in the
 * re-sent run: one whose first receipt lies outside [baseOffset, baseOffset + appended) of this partition was dropped;
 * when those are not count − appended, the window of ids has passed and the honest answer is `outcome_unknown`.
 * A run with drops that is found in the log has no known crc: there any crc matches.
 * A run dropped whole leaves nothing in the log, like one that was acknowledged as `received` and then lost: after a
 * restart the run behind it is a `gap` whose expected base lies below all that the client still holds, which tells
 * it to go on under a new epoch. Sent again after a restart it is judged `append`; the ids drop it again while their
 * window holds.
 */
export class ProducerRuns implements Sequencer {
  readonly #most: number
  readonly #mostDropped: number
  #windows = new RunWindows()
  #dropped: DroppedRecords
  #assembly = new RunAssembly()
  #nowMs: TimeMs = 0

  constructor({ most = 1_000_000, mostDropped = 1_000_000 }: ProducerRunsOptions = {}) {
    assert(most > 0 && mostDropped >= 0, 'the bounds of producer runs are not negative')
    this.#most = most
    this.#mostDropped = mostDropped
    this.#dropped = new DroppedRecords(mostDropped)
  }

  /** How many (producer, partition) pairs are held, some perhaps expired and not yet dropped. */
  get size(): number {
    return this.#windows.size
  }

  /** Says what to do with a run; changes nothing. Exact as of the last `expire`. */
  judge(run: Run): RunVerdict {
    assert(isRunCount(run.count), 'a run has 1 to 65,535 records')
    if (run.producerId === 0) return { kind: 'append' }
    assert(run.crc !== 0, 'a run is judged with its crc')
    const fresh: RunVerdict = run.base === 0 ? { kind: 'append' } : { kind: 'unknown' }
    const slot = this.#windows.find(run.producerId, run.key)
    if (slot === undefined || this.#isExpired(slot)) return fresh
    const currentEpoch = this.#windows.epochOf(slot)
    if (run.producerEpoch < currentEpoch) return { kind: 'fenced', currentEpoch }
    if (run.producerEpoch > currentEpoch) return fresh
    return this.#judgeWithin(slot, run)
  }

  /** Remembers a run that was judged `append` and has its place. */
  record(run: Run, placed: PlacedRun): void {
    if (run.producerId === 0) return
    const deduplicated = placed.deduplicated ?? []
    const appended = run.count - deduplicated.length
    assert(appended >= 0, 'no more records are dropped than were sent')
    const { base, count, crc } = run
    const { baseOffset, end, appendedAt } = placed
    const slot = this.#push(run, { base, count, crc, appended, appendedAt, baseOffset, end })
    this.#dropped.add(slot, run.base, deduplicated)
  }

  /** Moves time to `nowMs` (it never goes back) and drops what has expired, some thousands of pairs a call at most. */
  expire(nowMs: TimeMs): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs)
    for (let dropped = 0; dropped < mostDroppedPerCall; dropped += 1) {
      const oldest = this.#windows.oldest
      if (oldest === undefined || !this.#isExpired(oldest)) return
      this.#forget(oldest)
    }
  }

  observe(record: RecordView): void {
    if (record.kind === recordKinds.topic_gone) this.forgetTopic(record.topicId)
    const run = this.#assembly.add(record)
    if (run !== undefined) this.#push(run, run)
  }

  forgetTopic(topicId: TopicId): void {
    for (const slot of this.#windows.removeTopic(topicId)) this.#dropped.removeWindow(slot)
  }

  clear(): void {
    this.#replace(new RunWindows())
  }

  /** Must not be called between the records of an observed run. */
  encode(): Uint8Array {
    assert(!this.#assembly.isOpen, 'a snapshot is taken between two runs')
    return encodeRunWindows(this.#windows)
  }

  restore(bytes: Uint8Array): void {
    this.#replace(decodeRunWindows(bytes))
    while (this.#windows.size > this.#most) this.#forgetOldest()
  }

  #judgeWithin(slot: Slot, run: Run): RunVerdict {
    const held = this.#windows.held(slot)
    const newest = this.#windows.run(slot, held - 1)
    const expectedBase = newest.base + newest.count
    if (run.base > expectedBase) return { kind: 'gap', expectedBase }
    if (run.base === expectedBase) {
      return { kind: run.base + run.count > lastSequence ? 'reused' : 'append' }
    }
    const first = this.#firstLive(slot)
    if (run.base < this.#windows.run(slot, first).base) return { kind: 'tooOld' }
    for (let index = first; index < held; index += 1) {
      const known = this.#windows.run(slot, index)
      if (known.base === run.base && isSame(known, run)) return this.#duplicate(slot, known)
    }
    return { kind: 'reused' }
  }

  #duplicate(slot: Slot, known: HeldRun): RunVerdict {
    const { baseOffset, end, appendedAt, appended } = known
    const answer = { kind: 'duplicate', baseOffset, end, appendedAt, appended } as const
    const deduplicated = this.#dropped.of(slot, known.base)
    return deduplicated === undefined ? answer : { ...answer, deduplicated }
  }

  /** What the log holds is true, whatever was remembered: a run that does not follow begins the window anew. */
  #push(run: Pick<Run, 'producerId' | 'producerEpoch' | 'key'>, held: HeldRun): Slot {
    let slot = this.#windows.find(run.producerId, run.key)
    if (slot === undefined) {
      if (this.#windows.size >= this.#most) this.#forgetOldest()
      slot = this.#windows.add(run.producerId, run.key)
    }
    if (!this.#follows(slot, run.producerEpoch, held.base)) {
      this.#dropped.removeWindow(slot)
      this.#windows.begin(slot, run.producerEpoch)
    }
    if (this.#windows.held(slot) === windowRuns) {
      this.#dropped.remove(slot, this.#windows.run(slot, 0).base)
    }
    this.#windows.push(slot, held)
    return slot
  }

  #follows(slot: Slot, producerEpoch: number, base: number): boolean {
    const held = this.#windows.held(slot)
    if (held === 0 || this.#windows.epochOf(slot) !== producerEpoch) return false
    const newest = this.#windows.run(slot, held - 1)
    return newest.base + newest.count === base
  }

  /** Index of the oldest run that has not expired; the number of runs held when all have. */
  #firstLive(slot: Slot): number {
    const held = this.#windows.held(slot)
    let index = 0
    while (index < held && this.#windows.appendedAt(slot, index) + runLifetimeMs <= this.#nowMs) {
      index += 1
    }
    return index
  }

  #isExpired(slot: Slot): boolean {
    return this.#firstLive(slot) === this.#windows.held(slot)
  }

  #forgetOldest(): void {
    const oldest = this.#windows.oldest
    if (oldest !== undefined) this.#forget(oldest)
  }

  #forget(slot: Slot): void {
    this.#dropped.removeWindow(slot)
    this.#windows.remove(slot)
  }

  #replace(windows: RunWindows): void {
    this.#windows = windows
    this.#dropped = new DroppedRecords(this.#mostDropped)
    this.#assembly = new RunAssembly()
  }
}

function isSame(known: HeldRun, run: Run): boolean {
  return known.count === run.count && (known.crc === run.crc || known.crc === 0)
}

/** How many pairs one `expire` drops, so that a call stays below some ms. */
const mostDroppedPerCall = 10_000
