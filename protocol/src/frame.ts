import { MqError } from './errors.ts'
import { limits } from './limits.ts'

/**
 * One frame, big-endian:
 *    0       2         3      4                8             12
 *    | magic | version | type | correlation id | body length | body …
 * A WebSocket message holds one or more whole frames; a frame never spans two messages. A reply has the type of its
 * request with the top bit set, an error has type 0xff; both repeat the correlation id.
 */
export const frameHeaderBytes = 12
export const frameMagic = 0x504d
export const protocolVersion = 1
export const replyBit = 0x80
export const errorFrameType = 0xff

export interface Frame {
  readonly version: number
  readonly type: number
  readonly correlationId: number
  /** A view into the message: copy what outlives it. */
  readonly body: Uint8Array
}

/** Writes a header into the first 12 bytes of `target`. */
export function writeFrameHeader(
  target: Uint8Array,
  { type, correlationId, bodyBytes }: { type: number; correlationId: number; bodyBytes: number },
): void {
  const view = new DataView(target.buffer, target.byteOffset, frameHeaderBytes)
  view.setUint16(0, frameMagic)
  view.setUint8(2, protocolVersion)
  view.setUint8(3, type)
  view.setUint32(4, correlationId)
  view.setUint32(8, bodyBytes)
}

/**
 * The frames of one message, each a view of it.
 * @throws MqError `malformed_frame` when the bytes are not 1 to 1,024 whole frames, or a body is longer than
 * `mostBodyBytes`.
 */
export function readFrames(
  message: Uint8Array,
  mostBodyBytes: number = limits.frameBodyBytes,
): Frame[] {
  const frames: Frame[] = []
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength)
  let at = 0
  do {
    if (frames.length === limits.framesPerMessage)
      throw malformed(`more than ${limits.framesPerMessage} come in one message`)
    if (message.length - at < frameHeaderBytes)
      throw malformed(`${message.length - at} bytes are too few for a header`)
    if (view.getUint16(at) !== frameMagic)
      throw malformed('it does not start with the magic 0x504d')
    const bodyBytes = view.getUint32(at + 8)
    if (bodyBytes > mostBodyBytes)
      throw malformed(`its body of ${bodyBytes} bytes is longer than ${mostBodyBytes}`)
    const end = at + frameHeaderBytes + bodyBytes
    if (end > message.length)
      throw malformed(`its body ends ${end - message.length} bytes after the message`)
    const body = message.subarray(at + frameHeaderBytes, end)
    frames.push({
      version: view.getUint8(at + 2),
      type: view.getUint8(at + 3),
      correlationId: view.getUint32(at + 4),
      body,
    })
    at = end
  } while (at < message.length)
  return frames
}

function malformed(why: string): MqError {
  return new MqError('malformed_frame', `a frame is malformed: ${why}`)
}
