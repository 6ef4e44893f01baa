/**
 * What the room left on the disk allows. Two segments are kept back: one that only cleaning may fill, one for control
 * records, so that a full disk can always be emptied.
 *
 *     free:  … ─────── 4 segments ─────── 3 segments ─────── 2 segments ─────── 0
 *                ok    │      warn        │     throttle     │     refuse
 *
 * In `throttle` answers to producers are held back, more the less there is; in `refuse` produce requests are answered
 * `disk_full`. Reads, acknowledgements and cleaning go on in all of them.
 */
export type DiskState = 'ok' | 'warn' | 'throttle' | 'refuse'

const mostHoldMs = 500

export interface DiskVerdict {
  readonly state: DiskState
  /** How long to hold back the answer to a producer. */
  readonly holdMs: number
}

export function judgeDisk(freeBytes: number, segmentBytes: number): DiskVerdict {
  const segmentsFree = freeBytes / segmentBytes
  if (segmentsFree < 2) return { state: 'refuse', holdMs: 0 }
  if (segmentsFree < 3)
    return { state: 'throttle', holdMs: Math.ceil((3 - segmentsFree) * mostHoldMs) }
  return { state: segmentsFree < 4 ? 'warn' : 'ok', holdMs: 0 }
}
