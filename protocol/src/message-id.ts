import { assert, type Random } from '@popmq/kit'

/**
 * Message ids are UUIDv7 (RFC 9562 §5.7): 48 bits of ms since 1970, version, 74 random bits. The ms is the born time.
 * Within one maker ids grow: in one ms the 12 bits after the version count up.
 */
export class MessageIds {
  readonly #random: Random
  #lastMs = 0
  #count = 0

  constructor(random: Random) {
    this.#random = random
  }

  /** A new id of 16 bytes, born at `nowMs`. */
  next(nowMs: number): Uint8Array {
    if (nowMs > this.#lastMs) {
      this.#lastMs = nowMs
      this.#count = 0
    } else if (this.#count === 0xfff) {
      this.#lastMs += 1
      this.#count = 0
    } else {
      this.#count += 1
    }
    const id = this.#random.fill(new Uint8Array(16))
    const view = new DataView(id.buffer)
    view.setUint16(0, Math.floor(this.#lastMs / 0x1_0000_0000))
    view.setUint32(2, this.#lastMs >>> 0)
    view.setUint16(6, 0x7000 | this.#count)
    id[8] = 0x80 | ((id[8] ?? 0) & 0x3f)
    return id
  }
}

/** `0190a6c2-…`: the id as users see it. */
export function formatMessageId(id: Uint8Array): string {
  assert(id.length === 16, 'a message id has 16 bytes')
  let hex = ''
  for (const byte of id) hex += (byte < 16 ? '0' : '') + byte.toString(16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** The ms at which the message was born. */
export function bornAt(id: Uint8Array): number {
  const view = new DataView(id.buffer, id.byteOffset, 16)
  return view.getUint16(0) * 0x1_0000_0000 + view.getUint32(2)
}
