/**
 * The front of a value:
 *    0        4              12         20
 *    | number | intended at  | sent at  |
 * Both times are f64 in the order of this machine, which they never leave: ms as `sharedMs` tells them, when the schedule
 * had the message sent, and when it was.
 */
import { writeNumber } from '../tally.ts'

export interface Stamp {
  readonly number: number
  readonly intendedMs: number
  readonly sentMs: number
}

/** Which of its times a message is measured from. */
export type MeasuredFrom = 'intended' | 'sent'

export const stampBytes = 20
const placeOf = { intended: 4, sent: 12 }
/** One time, and its bytes: a view made for each of so many messages costs more than they do. */
const time = new Float64Array(1)
const timeBytes = new Uint8Array(time.buffer)

/** `value` has `stampBytes` at least. */
export function writeStamp(value: Uint8Array, { number, intendedMs, sentMs }: Stamp): void {
  writeNumber(value, number)
  time[0] = intendedMs
  value.set(timeBytes, placeOf.intended)
  time[0] = sentMs
  value.set(timeBytes, placeOf.sent)
}

export function readStampMs(value: Uint8Array, from: MeasuredFrom): number {
  const place = placeOf[from]
  for (let at = 0; at < timeBytes.length; at += 1) timeBytes[at] = value[place + at] ?? 0
  return time[0] ?? 0
}
