import type { Random } from '@popmq/kit'
import { messageIdBytes } from '@popmq/protocol'

/** Random bytes of an id: those behind the ms and the counter. */
const randomBytes = 8
const poolIds = 512

/**
 * Makes message ids (UUIDv7) many at a time: as `MessageIds` of the protocol, but randomness is drawn for 512 ids at once
 * and written straight to where the ids are needed.
 */
export class MessageIdPool {
  readonly #random: Random
  readonly #pool = new Uint8Array(randomBytes * poolIds)
  #used = this.#pool.length
  #lastMs = 0
  #count = 0

  constructor(random: Random) {
    this.#random = random
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
