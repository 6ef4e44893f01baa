import { assert, type Random } from '@popmq/kit'
import { messageIdBytes } from './record-layout.ts'

/** Random bytes of an id: those behind the ms and the counter. */
const randomBytes = 8
const pooledIds = 512

/**
 * Makes message ids: UUIDv7 (RFC 9562 §5.7), 48 bits of ms since 1970, version, counter and random bits. The ms is the
 * born time. Within one maker ids grow: in one ms the 12 bits after the version count up. Randomness is drawn for many
 * ids at once: drawing it for each cost more than all the rest of an id.
 */
export class MessageIds {
  readonly #random: Random
  readonly #pool = new Uint8Array(randomBytes * pooledIds)
  #used = this.#pool.length
  #lastMs = 0
  #count = 0

  constructor(random: Random) {
    this.#random = random
  }

  /** A new id of 16 bytes, born at `nowMs`. */
  next(nowMs: number): Uint8Array {
    return this.take(1, nowMs)
  }

  /** `count` new ids of 16 bytes, side by side, growing. */
  take(count: number, nowMs: number): Uint8Array {
    const ids = new Uint8Array(count * messageIdBytes)
    for (let start = 0; start < ids.length; start += messageIdBytes) this.#write(ids, start, nowMs)
    return ids
  }

  /**
   *    0            6                      8
   *    | ms u48 BE  | 0x7, counter 12 bits | 0b10, 62 random bits |
   * The counter starts at 0 in each ms; when it is full the ids run ahead of the clock.
   */
  #write(ids: Uint8Array, start: number, nowMs: number): void {
    if (nowMs > this.#lastMs) {
      this.#lastMs = nowMs
      this.#count = 0
    } else if (this.#count === 0xfff) {
      this.#lastMs += 1
      this.#count = 0
    } else {
      this.#count += 1
    }
    const high = Math.floor(this.#lastMs / 0x1_0000_0000)
    const low = this.#lastMs >>> 0
    ids[start] = high >>> 8
    ids[start + 1] = high
    ids[start + 2] = low >>> 24
    ids[start + 3] = low >>> 16
    ids[start + 4] = low >>> 8
    ids[start + 5] = low
    ids[start + 6] = 0x70 | (this.#count >>> 8)
    ids[start + 7] = this.#count
    if (this.#used === this.#pool.length) {
      this.#random.fill(this.#pool)
      this.#used = 0
    }
    for (let index = 0; index < randomBytes; index += 1) {
      ids[start + 8 + index] = this.#pool[this.#used + index] ?? 0
    }
    ids[start + 8] = 0x80 | ((ids[start + 8] ?? 0) & 0x3f)
    this.#used += randomBytes
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
