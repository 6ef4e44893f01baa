import { assert } from '@popmq/kit'
import { logPosition, marks, type Offset, partitionKey, type RecordView } from '@popmq/protocol'
import { recordKinds } from '@popmq/protocol'
import type { HeldRun } from './run-windows.ts'
import { foldRunCrc, type Run } from './run.ts'

/** A run that was found whole in the log. */
export type FoundRun = Run & HeldRun

interface Part extends Run {
  readonly kind: number
  crc: number
  appended: number
  readonly baseOffset: Offset
}

/**
 * Puts runs together again from the records of the log, in log order. A run begins at any record of a producer and
 * ends at the record marked `lastOfRun`; between the two lie only its own records. Where dedup ids dropped some of
 * them its crc is not known, and says 0. Of a run of delayed messages the base offset is a held number.
 */
export class RunAssembly {
  #part: Part | undefined

  /** Whether the last record was inside a run. */
  get isOpen(): boolean {
    return this.#part !== undefined
  }

  /** @returns the run that this record ends */
  add(record: RecordView): FoundRun | undefined {
    if ((record.marks & marks.moved) !== 0) return undefined
    if (!isSent(record.kind) || record.producerId === 0) {
      assert(this.#part === undefined, 'the records of a run are contiguous in the log')
      return undefined
    }
    const part = this.#part ?? partFrom(record)
    assert(isOf(part, record), 'the records of a run are contiguous in the log')
    part.crc = foldRunCrc(part.crc, record.crc)
    part.appended += 1
    assert(part.appended <= part.count, 'no more records of a run are in the log than were sent')
    const isLast = (record.marks & marks.lastOfRun) !== 0
    this.#part = isLast ? undefined : part
    if (!isLast) return undefined
    return {
      ...part,
      crc: part.appended === part.count ? part.crc : 0,
      appendedAt: record.appendedAt,
      end: logPosition(record.position + record.length),
    }
  }
}

/** The kinds that producers send. */
function isSent(kind: number): boolean {
  return kind === recordKinds.message || kind === recordKinds.delayed
}

function partFrom(record: RecordView): Part {
  return {
    kind: record.kind,
    producerId: record.producerId,
    producerEpoch: record.producerEpoch,
    key: partitionKey(record.topicId, record.partition),
    base: record.runBase,
    count: record.runCount,
    crc: 0,
    appended: 0,
    baseOffset: record.offset,
  }
}

function isOf(part: Part, record: RecordView): boolean {
  return (
    part.kind === record.kind &&
    part.producerId === record.producerId &&
    part.producerEpoch === record.producerEpoch &&
    part.base === record.runBase &&
    part.count === record.runCount &&
    part.key === partitionKey(record.topicId, record.partition)
  )
}
