/**
 * What the stripped path sends: one WebSocket message per request or reply, little-endian.
 *    0      1           2     4                8          12        16
 *    | kind | partition | run | correlation id | offset   | count   | records …
 *    kind 1 append, 2 fetch; the reply repeats the header with the top bit of `kind` set.
 * A record is as long as PopMQ's: 96 bytes, then the value.
 *    0        4     8          16       24            32          96
 *    | length | crc | position | offset | appended at | (nothing) | value …
 *    `crc` covers [32, length): what the producer writes. The server patches the rest.
 */
export const headerBytes = 16
export const recordHeadBytes = 96
export const crcStart = 32

export const kinds = { append: 1, fetch: 2 } as const
export const replyBit = 0x80

export interface Header {
  readonly kind: number
  readonly partition: number
  readonly run: number
  readonly correlationId: number
  readonly offset: number
  readonly count: number
}

export function writeHeader(target: Buffer, header: Header): Buffer {
  target.writeUInt8(header.kind, 0)
  target.writeUInt8(header.partition, 1)
  target.writeUInt16LE(header.run, 2)
  target.writeUInt32LE(header.correlationId, 4)
  target.writeUInt32LE(header.offset, 8)
  target.writeUInt32LE(header.count, 12)
  return target
}

export function readHeader(message: Buffer): Header {
  return {
    kind: message.readUInt8(0),
    partition: message.readUInt8(1),
    run: message.readUInt16LE(2),
    correlationId: message.readUInt32LE(4),
    offset: message.readUInt32LE(8),
    count: message.readUInt32LE(12),
  }
}

/** What both ends of the stripped path, and PopMQ, ask of `ws`. */
export const socketOptions = { perMessageDeflate: false, maxPayload: 64 * 1_048_576 } as const
