import {
  type GroupId,
  groupId as checkedGroupId,
  MqError,
  type Offset,
  offset,
  readU64,
  writeU64,
} from '@popmq/protocol'

/**
 * The body of a `letters_changed` record, little-endian: what was decided about letters of one group.
 *
 *     0  u32  group id
 *     4  u8   to              0 open, 1 discarded
 *     5  3 B  kept, 0
 *     8  u64  letter, for each
 */
export interface LettersChange {
  readonly groupId: GroupId
  readonly to: 'open' | 'discarded'
  readonly letters: readonly Offset[]
}

const headBytes = 8
const letterBytes = 8

export function encodeLettersChange({ groupId, to, letters }: LettersChange): Uint8Array {
  const bytes = new Uint8Array(headBytes + letters.length * letterBytes)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, groupId, true)
  view.setUint8(4, to === 'open' ? 0 : 1)
  for (const [index, letter] of letters.entries())
    writeU64(view, headBytes + index * letterBytes, letter)
  return bytes
}

/** @throws MqError `corrupt_record` for a body that is none */
export function decodeLettersChange(body: Uint8Array): LettersChange {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  const isWhole = body.length >= headBytes && (body.length - headBytes) % letterBytes === 0
  if (!isWhole || view.getUint8(4) > 1)
    throw new MqError('corrupt_record', `a change of letters of ${body.length} bytes is none`)
  const letters: Offset[] = []
  for (let at = headBytes; at < body.length; at += letterBytes)
    letters.push(offset(readU64(view, at)))
  const to = view.getUint8(4) === 0 ? 'open' : 'discarded'
  return { groupId: checkedGroupId(view.getUint32(0, true)), to, letters }
}
