import { MqError, readU48, readU64, type TimeMs, writeU48, writeU64 } from '@popmq/protocol'

/** What a `hold_changed` record says of one held record. A number that is not held says nothing. */
export interface HoldChange {
  readonly number: number
  /** When it is due from now on; undefined: it is let go, and never delivered. */
  readonly dueAt: TimeMs | undefined
}

/**
 * The body of a `hold_changed` record: 16 bytes each, little-endian:
 *
 *     0  u64  held number
 *     8  u48  due at          ms since 1970; 0 when it is let go
 *    14  u8   what            0 = let go, 1 = due at another time
 *    15  u8   kept, 0
 */
export const holdChangeBytes = 16
/** Most changes in one record. */
export const mostHoldChanges = 4_096

/** @throws MqError `invalid_request` for more than `mostHoldChanges`. */
export function encodeHoldChanges(changes: readonly HoldChange[]): Uint8Array {
  if (changes.length > mostHoldChanges) {
    throw new MqError(
      'invalid_request',
      `${changes.length} held records are changed at once, ${mostHoldChanges} may be`,
    )
  }
  const bytes = new Uint8Array(changes.length * holdChangeBytes)
  const view = new DataView(bytes.buffer)
  for (const [index, { number, dueAt }] of changes.entries()) {
    const at = index * holdChangeBytes
    writeU64(view, at, number)
    writeU48(view, at + 8, dueAt ?? 0)
    view.setUint8(at + 14, dueAt === undefined ? letGo : dueOtherwise)
  }
  return bytes
}

/** @throws MqError `corrupt_record` for a body that is no list of changes. */
export function decodeHoldChanges(body: Uint8Array): HoldChange[] {
  if (body.length % holdChangeBytes !== 0 || body.length > mostHoldChanges * holdChangeBytes)
    throw new MqError('corrupt_record', `the body of a change of holds has ${body.length} bytes`)
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  const changes: HoldChange[] = []
  for (let at = 0; at < body.length; at += holdChangeBytes) {
    const what = view.getUint8(at + 14)
    if (what !== letGo && what !== dueOtherwise)
      throw new MqError('corrupt_record', `a change of holds says ${what}, which means nothing`)
    const dueAt = what === letGo ? undefined : readU48(view, at + 8)
    changes.push({ number: readU64(view, at), dueAt })
  }
  return changes
}

const letGo = 0
const dueOtherwise = 1
