import { Decoder, Encoder } from 'cbor-x'
import { MqError } from './errors.ts'
import { limits } from './limits.ts'
import { prescan } from './prescan.ts'

/**
 * A frame's body: the CBOR array `[map, bytes]`. The head of the byte string is written by hand and record slices
 * follow it, so record bytes are never encoded again.
 *    0x82 | map (cbor-x) | 0x5a length u32 | slices …
 */
export interface Body {
  readonly fields: Readonly<Record<string, unknown>>
  /** A view into the frame: copy what outlives it. Empty when there is none. */
  readonly bytes: Uint8Array
}

const encoder = new Encoder({ useRecords: false, variableMapSize: true, tagUint8Array: false })
// `int64AsNumber` is missing from the published types; the pre-scan refuses the negative ones that it decodes wrongly.
const decoderOptions = { useRecords: false, mapsAsObjects: true, int64AsNumber: true }
const decoder = new Decoder(decoderOptions)

const bytesHeadBytes = 5
const arrayOfTwo = 0x82
const byteStringU32 = 0x5a

/** The body up to the record slices, with `room` bytes left in front for the frame header. */
export function encodeBodyHead(fields: object, slicesBytes: number, room: number): Uint8Array {
  // cbor-x returns a view of its shared slab: it is copied at once, so nothing pins or reuses it.
  const map = encoder.encode(fields)
  const head = new Uint8Array(room + 1 + map.length + bytesHeadBytes)
  head[room] = arrayOfTwo
  head.set(map, room + 1)
  const at = room + 1 + map.length
  head[at] = byteStringU32
  new DataView(head.buffer).setUint32(at + 1, slicesBytes)
  return head
}

export interface BodyLimits {
  readonly fieldsBytes: number
  readonly items: number
}

export const requestBodyLimits: BodyLimits = {
  fieldsBytes: limits.requestFieldsBytes,
  items: limits.requestItems,
}
export const replyBodyLimits: BodyLimits = {
  fieldsBytes: limits.replyFieldsBytes,
  items: limits.replyItems,
}

/** @throws MqError `malformed_body` */
export function decodeBody(body: Uint8Array, { fieldsBytes, items }: BodyLimits): Body {
  if (body[0] !== arrayOfTwo)
    throw new MqError('malformed_body', 'a body is not an array of a map and a byte string')
  const initial = body[1] ?? 0
  if (initial >> 5 !== 5)
    throw new MqError('malformed_body', 'the first item of a body is not a map')
  const mapEnd = prescan(body, 1, { depth: limits.fieldDepth - 1, items })
  if (mapEnd - 1 > fieldsBytes)
    throw new MqError('malformed_body', `the fields of a body take more than ${fieldsBytes} bytes`)
  const bytesEnd = prescan(body, mapEnd, { depth: 1, items: 1 })
  if (bytesEnd !== body.length)
    throw new MqError('malformed_body', `${body.length - bytesEnd} bytes follow the body`)
  if ((body[mapEnd] ?? 0) >> 5 !== 2)
    throw new MqError('malformed_body', 'the second item of a body is not a byte string')
  return {
    fields: decodeFields(body.subarray(1, mapEnd)),
    bytes: body.subarray(mapEnd + headBytes(body[mapEnd] ?? 0), bytesEnd),
  }
}

/** Encodes a plain map, as record headers are stored. The result is a copy. */
export function encodeFields(fields: object): Uint8Array {
  return Uint8Array.from(encoder.encode(fields))
}

/** Decodes a map that was scanned before. @throws MqError `malformed_body` */
export function decodeFields(bytes: Uint8Array): Record<string, unknown> {
  try {
    return decoder.decode(bytes) as Record<string, unknown>
  } catch (cause) {
    throw new MqError('malformed_body', 'the fields of a body are not CBOR', { cause })
  }
}

/** Bytes of an item's head by its initial byte. */
function headBytes(initial: number): number {
  const info = initial & 31
  return info < 24 ? 1 : 1 + (1 << (info - 24))
}
