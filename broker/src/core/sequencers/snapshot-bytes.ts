import { assert } from '@popmq/kit'
import { MqError, readU48, readU64, writeU48, writeU64 } from '@popmq/protocol'

/** Writes the snapshot of a sequencer, whose size is known beforehand: a version byte, then little-endian fields. */
export class SnapshotWriter {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  /** `size` counts the version byte. */
  constructor(size: number, version: number) {
    this.#bytes = new Uint8Array(size)
    this.#view = new DataView(this.#bytes.buffer)
    this.u8(version)
  }

  u8(value: number): void {
    this.#view.setUint8(this.#advance(1), value)
  }
  u16(value: number): void {
    this.#view.setUint16(this.#advance(2), value, true)
  }
  u32(value: number): void {
    this.#view.setUint32(this.#advance(4), value, true)
  }
  u48(value: number): void {
    writeU48(this.#view, this.#advance(6), value)
  }
  u64(value: number): void {
    writeU64(this.#view, this.#advance(8), value)
  }
  bytes(part: Uint8Array): void {
    this.#bytes.set(part, this.#advance(part.length))
  }
  /** Each char of `text`, all below 256, as one byte. */
  chars(text: string): void {
    const start = this.#advance(text.length)
    for (let index = 0; index < text.length; index += 1) {
      this.#bytes[start + index] = text.charCodeAt(index)
    }
  }

  finish(): Uint8Array {
    assert(this.#at === this.#bytes.length, 'a snapshot is as long as was reckoned')
    return this.#bytes
  }

  #advance(size: number): number {
    const start = this.#at
    this.#at += size
    return start
  }
}

/** Reads what `SnapshotWriter` wrote; never reads past the end. */
export class SnapshotReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  /** @throws MqError `newer_format` when the version byte is another one. */
  constructor(bytes: Uint8Array, version: number) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const found = this.u8()
    if (found !== version) {
      throw new MqError(
        'newer_format',
        `a sequencer snapshot has version ${found}, this is ${version}`,
      )
    }
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1))
  }
  u16(): number {
    return this.#view.getUint16(this.#advance(2), true)
  }
  u32(): number {
    return this.#view.getUint32(this.#advance(4), true)
  }
  u48(): number {
    return readU48(this.#view, this.#advance(6))
  }
  u64(): number {
    return readU64(this.#view, this.#advance(8))
  }
  /** A view of the next `size` bytes. */
  bytes(size: number): Uint8Array {
    const start = this.#advance(size)
    return this.#bytes.subarray(start, start + size)
  }

  /** Must be called last. */
  finish(): void {
    assert(this.#at === this.#bytes.length, 'a snapshot ends with its last field')
  }

  #advance(size: number): number {
    const start = this.#at
    assert(start + size <= this.#bytes.length, 'a snapshot is not cut short')
    this.#at += size
    return start
  }
}
