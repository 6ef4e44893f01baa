import { readU48, readU64, writeU48, writeU64 } from '@popmq/protocol'

/** Little-endian fields one after the other, in bytes that grow. */
export class ByteWriter {
  #bytes: Uint8Array
  #view: DataView
  #length = 0

  constructor(expectedBytes = 64) {
    this.#bytes = new Uint8Array(expectedBytes)
    this.#view = new DataView(this.#bytes.buffer)
  }

  get length(): number {
    return this.#length
  }
  /** A view of what was written, good until the next write. */
  get written(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  u16(value: number): void {
    const at = this.#grow(2)
    this.#view.setUint16(at, value, true)
  }
  u32(value: number): void {
    const at = this.#grow(4)
    this.#view.setUint32(at, value, true)
  }
  u48(value: number): void {
    const at = this.#grow(6)
    writeU48(this.#view, at, value)
  }
  u64(value: number): void {
    const at = this.#grow(8)
    writeU64(this.#view, at, value)
  }
  bytes(part: Uint8Array): void {
    const at = this.#grow(part.length)
    this.#bytes.set(part, at)
  }

  /** Makes room for `bytes` more. @returns where they begin */
  #grow(bytes: number): number {
    const at = this.#length
    this.#length += bytes
    if (this.#length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2))
      grown.set(this.#bytes.subarray(0, at))
      this.#bytes = grown
      this.#view = new DataView(grown.buffer)
    }
    return at
  }
}

/** Reads what a `ByteWriter` wrote. @throws RangeError at the end of the bytes */
export class ByteReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  u16(): number {
    return this.#view.getUint16(this.#skip(2), true)
  }
  u32(): number {
    return this.#view.getUint32(this.#skip(4), true)
  }
  u48(): number {
    return readU48(this.#view, this.#skip(6))
  }
  u64(): number {
    return readU64(this.#view, this.#skip(8))
  }
  /** A view of the next `length` bytes. */
  bytes(length: number): Uint8Array {
    if (length > this.left)
      throw new RangeError(`${length} bytes are read where ${this.left} are left`)
    const start = this.#skip(length)
    return this.#bytes.subarray(start, start + length)
  }

  #skip(bytes: number): number {
    const at = this.#at
    this.#at += bytes
    return at
  }
}
