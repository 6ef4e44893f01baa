import type {
  LogPosition,
  Offset,
  PartitionKey,
  PartitionNumber,
  ProducerId,
  TimeMs,
} from '@popmq/protocol'
import { limits } from '@popmq/protocol'

/** One request's records for one partition, as its producer numbered them. */
export interface Run {
  /** 0: the producer asks for no protection, its runs are always appended and never remembered. */
  readonly producerId: ProducerId
  readonly producerEpoch: number
  readonly key: PartitionKey
  /** Sequence of the first record. The next run of the partition has base + count. */
  readonly base: number
  /** Records sent, 1 to 65,535, with those that dedup ids drop. */
  readonly count: number
  /** `foldRunCrc` over the crc of every record sent, dropped ones too. */
  readonly crc: number
}

/** A record that was not appended because its dedup id was seen, and where the first one lies. */
export interface DroppedRecord {
  readonly index: number
  /** Where the first one lies: another partition when some were added since. */
  readonly partition: PartitionNumber
  readonly offset: Offset
  readonly appendedAt: TimeMs
}

/** What became of an appended run. */
export interface PlacedRun {
  /** Of its first record in the log; the others follow, dropped ones left out. */
  readonly baseOffset: Offset
  /** Behind its last record: it has the level asked when the log has it up to here. */
  readonly end: LogPosition
  readonly appendedAt: TimeMs
  readonly deduplicated?: readonly DroppedRecord[]
}

export type RunVerdict =
  | { readonly kind: 'append' }
  /** `appended` of the run's records are in the log. Fewer than its count without `deduplicated`: see ProducerRuns. */
  | ({ readonly kind: 'duplicate'; readonly appended: number } & PlacedRun)
  | { readonly kind: 'gap'; readonly expectedBase: number }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'fenced'; readonly currentEpoch: number }
  | { readonly kind: 'reused' }
  | { readonly kind: 'tooOld' }

/**
 * The crc of a run: begin with 0 and fold in the crc of each record in order. The result is never 0, which stands for
 * "not known". Two runs that differ fold alike by one chance in 2^32.
 */
export function foldRunCrc(previous: number, recordCrc: number): number {
  const mixed = Math.imul(previous ^ recordCrc, 0x85ebca6b)
  return (mixed ^ (mixed >>> 15)) >>> 0 || 1
}

export function isRunCount(count: number): boolean {
  return Number.isInteger(count) && count >= 1 && count <= limits.messagesPerRun
}

/** How long a run is remembered after its append, in ms. A delivery deadline is a quarter of it at most. */
export const runLifetimeMs = 60 * 60_000
/** The last sequence. A producer takes a new epoch before 2^31, so only a faulty one ever comes near. */
export const lastSequence = 0xffff_ffff
