import { assert } from '@popmq/kit'
import {
  type Checksum,
  kindName,
  type LogPosition,
  logPosition,
  marks,
  MqError,
  RecordView,
} from '@popmq/protocol'
import { logFolder, type Segment, segmentPath, type Segments } from './segments.ts'

/** What is known before the log is read: everything below `synced` was synced, and `from` is where a record begins. */
export interface ProvenStart {
  readonly from: LogPosition
  readonly synced: LogPosition
}

export interface RecoveredLog {
  /** Where the log ends: behind its last whole run. Everything below is verified and synced. */
  readonly end: LogPosition
  readonly lastAppendedAt: number
  readonly highestEpoch: number
  readonly highestTopicId: number
  /** How many bytes of torn tail were cut, and how many were verified. */
  readonly cutBytes: number
  readonly verifiedBytes: number
}

/** A record longer than this in the log is damage, not a record: twice the largest message with its sections. */
const mostRecordBytes = 128 * 1_048_576
const blockBytes = 4 * 1_048_576

/**
 * Makes the log whole after a stop of any kind.
 *
 * Every record from the proven start on is verified. Bad bytes at p are *rot* when the proven synced position, or the
 * synced position named by a valid record behind p, lies above p: acknowledged bytes are damaged, and the log is
 * refused, never shortened. A valid record behind p proves nothing by itself, for unsynced writes land in any order.
 * Otherwise they are a *torn tail*: cut on disk and synced, back to the end of the last whole run, so that stale bytes
 * cannot come back. What lies above the last proven synced position is written again and synced before it is trusted:
 * after a failed sync the page cache may hold bytes that the disk does not.
 *
 * @throws MqError `damaged_log`, `unknown_record_kind`
 */
export async function recoverLog(
  segments: Segments,
  start: ProvenStart,
  crc32: Checksum,
): Promise<RecoveredLog> {
  checkFiles(segments, start)
  const scan = await scanRecords(segments, start, crc32)
  const writtenEnd = segments.active.end
  const proven =
    scan.stoppedAt === writtenEnd
      ? scan.proven
      : Math.max(scan.proven, await provenBehind(segments, scan.stoppedAt, crc32))
  if (proven > scan.stoppedAt)
    throw damaged(segments, scan.stoppedAt, `everything below position ${proven} was synced`)
  if (proven > scan.runEnd)
    throw damaged(segments, scan.runEnd, `a run that was synced up to ${proven} is cut short`)
  if (scan.runEnd < writtenEnd) await segments.cut(scan.runEnd)
  await rewrite(segments, logPosition(Math.max(proven, start.from)), scan.runEnd)
  return {
    end: scan.runEnd,
    lastAppendedAt: scan.lastAppendedAt,
    highestEpoch: scan.highestEpoch,
    highestTopicId: scan.highestTopicId,
    cutBytes: writtenEnd - scan.runEnd,
    verifiedBytes: scan.stoppedAt - start.from,
  }
}

/** The files below the newest were synced before the next was made: their sizes must meet the next one's base. */
function checkFiles(segments: Segments, { from, synced }: ProvenStart): void {
  const { all } = segments
  if (all.length === 0) throw withoutFiles(synced)
  for (const [index, segment] of all.entries()) {
    const next = all[index + 1]
    if (next !== undefined && next.base !== segment.end) {
      throw damaged(
        segments,
        logPosition(Math.min(segment.end, next.base)),
        `the file should end at ${next.base} and ends at ${segment.end}: it is cut short, or ${segmentPath(segment.end)} is missing`,
      )
    }
  }
  if (from < segments.start)
    throw damaged(
      segments,
      segments.start,
      `the log should reach back to ${from}: a file is missing`,
    )
  if (segments.active.end < synced)
    throw damaged(segments, segments.active.end, `everything below position ${synced} was synced`)
}

interface Scan {
  /** Where the first byte lies that is not part of a whole record. */
  stoppedAt: LogPosition
  /** Behind the last record that ends a run. */
  runEnd: LogPosition
  /** The highest synced position that is proven. */
  proven: number
  lastAppendedAt: number
  highestEpoch: number
  highestTopicId: number
}

async function scanRecords(segments: Segments, start: ProvenStart, crc32: Checksum): Promise<Scan> {
  const scan = emptyScan(start)
  for (const segment of segments.all) {
    if (segment.end <= scan.stoppedAt) continue
    const windows = new SegmentWindow(segment)
    while (scan.stoppedAt < segment.end) {
      const record = await windows.recordAt(scan.stoppedAt)
      if (record === undefined || !isWhole(record, scan.stoppedAt, crc32)) return scan
      if (kindName(record.kind) === undefined) throw unknownKind(record, segment)
      if (record.leaderEpoch < scan.highestEpoch) return scan
      scan.stoppedAt = logPosition(scan.stoppedAt + record.length)
      if ((record.marks & marks.lastOfRun) !== 0) scan.runEnd = scan.stoppedAt
      scan.proven = Math.max(scan.proven, record.position - record.syncedBack)
      scan.lastAppendedAt = Math.max(scan.lastAppendedAt, record.appendedAt)
      scan.highestEpoch = Math.max(scan.highestEpoch, record.leaderEpoch)
      scan.highestTopicId = Math.max(scan.highestTopicId, record.topicId)
    }
  }
  return scan
}

function emptyScan({ from, synced }: ProvenStart): Scan {
  return {
    stoppedAt: from,
    runEnd: from,
    proven: synced,
    lastAppendedAt: 0,
    highestEpoch: 0,
    highestTopicId: 0,
  }
}

function isWhole(record: RecordView, position: LogPosition, crc32: Checksum): boolean {
  return record.foldHolds() && record.position === position && record.crcHolds(crc32)
}

/**
 * The highest synced position that a valid record behind `from` names. Where records begin is not known any more, so
 * every byte is tried: a record carries its own position, which a chance match practically never survives.
 */
async function provenBehind(
  segments: Segments,
  from: LogPosition,
  crc32: Checksum,
): Promise<number> {
  let proven = 0
  for (const segment of segments.all) {
    if (segment.end <= from) continue
    const windows = new SegmentWindow(segment)
    for (let at = Math.max(from + 1, segment.base); at < segment.end;) {
      const candidate = await windows.nextCandidate(logPosition(at))
      if (candidate === undefined) break
      const record = await windows.recordAt(candidate)
      const isRecord = record !== undefined && isWhole(record, candidate, crc32)
      if (isRecord) proven = Math.max(proven, record.position - record.syncedBack)
      at = isRecord ? candidate + record.length : candidate + 1
    }
  }
  return proven
}

async function rewrite(segments: Segments, from: LogPosition, to: LogPosition): Promise<void> {
  for (const segment of segments.all) {
    const end = Math.min(segment.end, to)
    let at = Math.max(from, segment.base)
    if (at >= end) continue
    while (at < end) {
      const block = new Uint8Array(Math.min(blockBytes, end - at))
      const read = await segment.file.read(block, at - segment.base)
      assert(read === block.length, 'verified bytes can be read again')
      let written = 0
      while (written < read)
        written += await segment.file.write([block.subarray(written)], at - segment.base + written)
      at += read
    }
    await segment.file.sync()
  }
}

/** Reads a segment from front to back through one buffer that grows only for a record that needs it. */
class SegmentWindow {
  readonly #segment: Segment
  readonly #record = new RecordView()
  #bytes: Uint8Array = new Uint8Array(0)
  #base = 0

  constructor(segment: Segment) {
    this.#segment = segment
  }

  /** The record that begins at `position`. @returns undefined when no record of a possible length fits there */
  async recordAt(position: LogPosition): Promise<RecordView | undefined> {
    await this.#load(position, blockBytes / 2)
    let record = this.#record.move(this.#bytes, position - this.#base)
    if (this.#bytes.length - record.start < 8) return undefined
    if (record.length > mostRecordBytes || position + record.length > this.#segment.end)
      return undefined
    await this.#load(position, record.length)
    record = this.#record.move(this.#bytes, position - this.#base)
    return record.fits(this.#bytes.length) ? record : undefined
  }

  /** The first position from `from` on whose bytes could be a record that names this position. */
  async nextCandidate(from: LogPosition): Promise<LogPosition | undefined> {
    const { end } = this.#segment
    const headBytes = 24
    for (let at: number = from; at + headBytes <= end;) {
      await this.#load(logPosition(at), headBytes)
      const view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.length)
      for (; at - this.#base + headBytes <= this.#bytes.length; at += 1) {
        const start = at - this.#base
        const isNamed =
          view.getUint32(start + 16, true) === at >>> 0 &&
          view.getUint32(start + 20, true) === Math.floor(at / 2 ** 32)
        if (isNamed) return logPosition(at)
      }
    }
    return undefined
  }

  /** Sees that the window holds `bytes` bytes from `position` on, or all that the segment has. */
  async #load(position: LogPosition, bytes: number): Promise<void> {
    const wanted = Math.min(position + bytes, this.#segment.end)
    if (position >= this.#base && wanted <= this.#base + this.#bytes.length) return
    const window = new Uint8Array(
      Math.min(Math.max(bytes, blockBytes), this.#segment.end - position),
    )
    const read = await this.#segment.file.read(window, position - this.#segment.base)
    this.#bytes = window.subarray(0, read)
    this.#base = position
    // A file that reads shorter than it was listed ends here.
    if (read < window.length) this.#segment.end = logPosition(position + read)
  }
}

function withoutFiles(synced: LogPosition): MqError {
  const facts = { path: logFolder, position: 0 }
  const what = `${logFolder} holds no file, and everything below position ${synced} was synced`
  return new MqError('damaged_log', what, { facts })
}

function damaged(segments: Segments, position: LogPosition, why: string): MqError {
  const segment = segments.all.findLast(({ base }) => base <= position)
  const path = segmentPath(segment?.base ?? position)
  return new MqError('damaged_log', `${path} is damaged at position ${position}: ${why}`, {
    facts: { path, position },
  })
}

function unknownKind(record: RecordView, segment: Segment): MqError {
  const path = segmentPath(segment.base)
  return new MqError(
    'unknown_record_kind',
    `${path} holds a record of kind ${record.kind} at position ${record.position}`,
    {
      facts: { path, position: record.position, kind: record.kind },
    },
  )
}
