import { MqError } from '@popmq/protocol'

/** How a replica set uses memory and disk. Sizes in bytes, times in ms. */
export interface LogOptions {
  /** A segment is closed before it would grow beyond this; a run must fit in one. See `defaultSegmentBytes`. */
  readonly segmentBytes: number
  /** The newest bytes of the log kept in memory. */
  readonly tailBytes: number
  /** Memory is taken in pieces of this size. */
  readonly chunkBytes: number
  /** Older bytes read from disk and kept. */
  readonly cacheBytes: number
  readonly cacheBlockBytes: number
  /** Reads of older bytes that may run at a time. */
  readonly catchUpReads: number
  /** Appended bytes that may wait to be synced; more are refused with `broker_busy`. */
  readonly mostUnsyncedBytes: number
  /** A checkpoint is written after this many bytes, or this long after the last one if anything was appended. */
  readonly checkpointBytes: number
  readonly checkpointMs: number
  /** How often retention and cleaning look for work. */
  readonly retentionMs: number
  /** The oldest segment is cleaned when at most this share of it is alive, 0..1. */
  readonly cleanBelowShare: number
}

const mebibyte = 1_048_576

const defaults = {
  segmentBytes: 1_024 * mebibyte,
  tailBytes: 24 * mebibyte,
  chunkBytes: 2 * mebibyte,
  cacheBytes: 64 * mebibyte,
  cacheBlockBytes: 256 * 1_024,
  catchUpReads: 2,
  mostUnsyncedBytes: 64 * mebibyte,
  checkpointBytes: 128 * mebibyte,
  checkpointMs: 60_000,
  retentionMs: 10_000,
  cleanBelowShare: 0.5,
} as const satisfies LogOptions

/**
 * The default size of a segment on a disk of `diskBytes`: 1 GiB, less on a small disk, for two segments are kept free.
 */
export function defaultSegmentBytes(diskBytes: number): number {
  const share = Math.floor(diskBytes / 32 / mebibyte) * mebibyte
  return Math.max(4 * mebibyte, Math.min(defaults.segmentBytes, share))
}

/** Fills in defaults and checks once. @throws MqError `invalid_config` */
export function logOptions(given: Partial<LogOptions> = {}): LogOptions {
  const options: LogOptions = { ...defaults, ...given }
  for (const [name, value] of Object.entries(options)) {
    if (!(Number.isFinite(value) && value >= 0))
      throw new MqError('invalid_config', `${name} must be a number from 0, got ${value}`)
  }
  if (options.segmentBytes < 4_096)
    throw new MqError(
      'invalid_config',
      `segmentBytes must be at least 4096, got ${options.segmentBytes}`,
    )
  return Object.freeze(options)
}
