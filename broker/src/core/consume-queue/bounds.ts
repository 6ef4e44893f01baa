import { MqError, type Offset, offset } from '@popmq/protocol'

/** What of a partition can be read: [low, high). */
export interface Bounds {
  /** The first readable offset. */
  readonly low: Offset
  /** The next offset to become visible. */
  readonly high: Offset
}

/** Of a partition that has had no message. */
export const noBounds: Bounds = Object.freeze({ low: offset(0), high: offset(0) })

/** The error for an offset outside of [low, high]. */
export function outOfRange(from: Offset, { low, high }: Bounds): MqError {
  const what = `offset ${from} is outside of ${low} to ${high}`
  return new MqError('offset_out_of_range', what, { facts: { low, high, offset: from } })
}
