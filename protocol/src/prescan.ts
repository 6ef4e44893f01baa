import { MqError } from './errors.ts'
import { limits } from './limits.ts'

export interface PrescanLimits {
  readonly depth: number
  readonly items: number
}

/** `__proto__`, which cbor-x would decode as another key. */
const protoKey = new TextEncoder().encode('__proto__')

/**
 * Walks one CBOR item before cbor-x sees it and refuses what could cost more than its bytes: tags, indefinite lengths,
 * deep nesting, many items, map keys that are not text, occur twice or are `__proto__`, negative 64-bit integers (cbor-x rounds them).
 * Iterative, allocates only per map. Evidence: cbor-x alone takes a second for a 128 kB bignum and 761 MB for 35 kB of
 * packed tables.
 * @returns the position behind the item
 * @throws MqError `malformed_body`
 */
export function prescan(
  bytes: Uint8Array,
  start: number,
  { depth: mostDepth, items: mostItems }: PrescanLimits,
): number {
  const head = new Head()
  const left = [1]
  const keys: (number[] | undefined)[] = [undefined]
  let at = start
  let items = 0
  for (;;) {
    while (left.at(-1) === 0) {
      left.pop()
      keys.pop()
      if (left.length === 0) return at
    }
    items += 1
    if (items > mostItems) throw malformed(`more than ${mostItems} items`)
    const level = left.length - 1
    const remaining = left[level] ?? 0
    left[level] = remaining - 1
    head.read(bytes, at)
    const seenKeys = keys[level]
    if (seenKeys !== undefined && remaining % 2 === 0) checkKey(bytes, head, seenKeys)
    at = head.end
    if (head.major === 2 || head.major === 3) {
      if (head.value > bytes.length - at) throw malformed('a string ends after the body')
      at += head.value
    } else if (head.major === 4 || head.major === 5) {
      const members = head.major === 5 ? head.value * 2 : head.value
      if (members > mostItems - items) throw malformed(`more than ${mostItems} items`)
      if (head.major === 5 && head.value > limits.keysPerMap)
        throw malformed(`a map of more than ${limits.keysPerMap} keys`)
      if (left.length > mostDepth) throw malformed(`nested deeper than ${mostDepth}`)
      left.push(members)
      keys.push(head.major === 5 ? [] : undefined)
    }
  }
}

/** The initial byte of an item and its argument (RFC 8949 §3). One serves for a whole scan: there are many items. */
class Head {
  major = 0
  /** The count, length or value; meaningless for floats. */
  value = 0
  /** The position behind the head. */
  end = 0

  read(bytes: Uint8Array, at: number): void {
    const initial = bytes[at]
    if (initial === undefined) throw malformed('it ends too early')
    this.major = initial >> 5
    const info = initial & 31
    if (this.major === 6) throw malformed('tags are not allowed')
    if (info >= 28) throw malformed('indefinite and reserved lengths are not allowed')
    // false, true, null, undefined, and floats of 16, 32 and 64 bits.
    if (this.major === 7 && (info < 20 || info === 24))
      throw malformed('simple values other than false, true and null are not allowed')
    this.value = info
    this.end = at + 1
    if (info >= 24) this.#readArgument(bytes, 1 << (info - 24))
  }

  #readArgument(bytes: Uint8Array, length: number): void {
    const start = this.end
    this.end += length
    if (this.end > bytes.length) throw malformed('it ends too early')
    if (length === 8 && this.major !== 0 && this.major !== 7)
      throw malformed('a 64-bit length or negative number is not allowed')
    let value = 0
    for (let index = start; index < this.end; index += 1) value = value * 256 + (bytes[index] ?? 0)
    this.value = value
  }
}

/** Remembers the key at `head` as [start, end] in `seen`. */
function checkKey(bytes: Uint8Array, head: Head, seen: number[]): void {
  if (head.major !== 3) throw malformed('a map key must be text')
  const start = head.end
  const end = start + head.value
  for (let index = 0; index < seen.length; index += 2) {
    if (sameBytes(bytes, start, end, seen[index] ?? 0, seen[index + 1] ?? 0))
      throw malformed('a map key occurs twice')
  }
  if (
    head.value === protoKey.length &&
    protoKey.every((byte, index) => byte === bytes[start + index])
  ) {
    throw malformed('a map key is __proto__')
  }
  seen.push(start, end)
}

// oxlint-disable-next-line max-params -- two ranges of one array
function sameBytes(
  bytes: Uint8Array,
  start: number,
  end: number,
  otherStart: number,
  otherEnd: number,
): boolean {
  if (end - start !== otherEnd - otherStart) return false
  for (let index = 0; index < end - start; index += 1) {
    if (bytes[start + index] !== bytes[otherStart + index]) return false
  }
  return true
}

function malformed(why: string): MqError {
  return new MqError('malformed_body', `a body is not acceptable: ${why}`)
}
