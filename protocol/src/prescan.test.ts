import assert from 'node:assert/strict'
import { test } from 'node:test'
import { between } from '@popmq/kit'
import { SeededRandom } from '@popmq/kit/testing'
import { decodeFields } from './body.ts'
import { MqError } from './errors.ts'
import { prescan } from './prescan.ts'

/** cbor-x decodes byte strings as Buffers and minus zero, an integer on the wire, as zero. */
function normal(value: unknown): unknown {
  if (value instanceof Uint8Array) return [...value]
  if (Array.isArray(value)) return value.map(normal)
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, normal(member)]))
  return value === 0 ? 0 : value
}

/** The plainest decoder of what the pre-scan lets through, to hold cbor-x against. */
class Reference {
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get at(): number {
    return this.#at
  }

  value(): unknown {
    const initial = this.#view.getUint8(this.#at)
    this.#at += 1
    const [major, info] = [initial >> 5, initial & 31]
    if (major === 7 && info >= 25) return this.#float(info)
    const argument = info < 24 ? info : this.#integer(1 << (info - 24))
    switch (major) {
      case 0:
        return argument
      case 1:
        return -1 - argument
      case 2:
        return [...this.#take(argument)]
      case 3:
        return new TextDecoder('utf-8', { ignoreBOM: true }).decode(this.#take(argument))
      case 4:
        return Array.from({ length: argument }, () => this.value())
      case 5:
        return Object.fromEntries(
          Array.from({ length: argument }, () => [this.value(), this.value()]),
        )
      default:
        return [false, true, null, undefined][argument - 20]
    }
  }

  #integer(bytes: number): number {
    let value = 0
    for (const byte of this.#take(bytes)) value = value * 256 + byte
    return value
  }

  #float(info: number): number {
    if (info === 26) return this.#view.getFloat32((this.#at += 4) - 4)
    if (info === 27) return this.#view.getFloat64((this.#at += 8) - 8)
    const half = this.#integer(2)
    const [exponent, fraction] = [(half >> 10) & 31, half & 1_023]
    const size =
      exponent === 0
        ? fraction * 2 ** -24
        : exponent === 31
          ? fraction === 0
            ? Infinity
            : NaN
          : (1_024 + fraction) * 2 ** (exponent - 25)
    return (half & 0x8000) === 0 ? size : -size
  }

  #take(bytes: number): Uint8Array {
    this.#at += bytes
    return new Uint8Array(this.#view.buffer, this.#view.byteOffset + this.#at - bytes, bytes)
  }
}

/** CBOR of any shape, some of it hostile: lengths that lie, tags, indefinite items, keys that repeat. */
function anyItem(random: SeededRandom, depth: number): Uint8Array {
  const isNasty = random.next() < 0.02
  if (isNasty) return Uint8Array.of(between(random, 0, 255), between(random, 0, 255))
  const major = between(random, 0, depth > 0 ? 7 : 3)
  const sized = major >= 2 && major <= 5
  const count = between(random, 0, 3)
  const head = headOf(random, major, sized ? count : between(random, 0, 2 ** 32 - 1))
  if (major === 6)
    return random.next() < 0.3
      ? Buffer.concat([head, anyItem(random, depth - 1)])
      : Uint8Array.of(0xf6)
  if (major === 7) return floatOrSimple(random)
  if (major === 2) return Buffer.concat([head, random.fill(new Uint8Array(count))])
  if (major === 3)
    return Buffer.concat([head, random.fill(new Uint8Array(count)).map((byte) => byte & 0x7f)])
  if (!sized) return head
  const members = Array.from({ length: count }, (_, index) =>
    major === 4
      ? anyItem(random, depth - 1)
      : Buffer.concat([
          Uint8Array.of(0x61, 97 + (random.next() < 0.1 ? 0 : index)),
          anyItem(random, depth - 1),
        ]),
  )
  return Buffer.concat([head, ...members])
}

/** The argument in any length that holds it: shortest is not demanded. */
function headOf(random: SeededRandom, major: number, argument: number): Uint8Array {
  const least = argument < 24 ? 0 : argument < 256 ? 1 : argument < 65_536 ? 2 : 3
  const size = between(random, least, major === 0 && random.next() < 0.5 ? 4 : 3)
  if (size === 0) return Uint8Array.of((major << 5) | argument)
  const head = new Uint8Array(1 + (1 << (size - 1)))
  head[0] = (major << 5) | (23 + size)
  for (let at = head.length - 1, rest = argument; at > 0; at -= 1, rest = Math.floor(rest / 256))
    head[at] = rest % 256
  return head
}

function floatOrSimple(random: SeededRandom): Uint8Array {
  const simple = between(random, 20, 27)
  const bytes = simple < 24 ? 0 : 1 << (simple - 24)
  return Buffer.concat([Uint8Array.of(0xe0 | simple), random.fill(new Uint8Array(bytes))])
}

void test('what the pre-scan lets through, cbor-x decodes to its end as a plain decoder does', () => {
  const random = new SeededRandom(7)
  let accepted = 0
  let refused = 0
  for (let round = 0; round < 20_000; round += 1) {
    const bytes = Uint8Array.from(anyItem(random, 4))
    let end: number
    try {
      end = prescan(bytes, 0, { depth: 8, items: 1_000 })
    } catch (error) {
      if (!(error instanceof MqError)) throw error
      refused += 1
      continue
    }
    accepted += 1
    const item = bytes.subarray(0, end)
    const reference = new Reference(item)
    assert.deepEqual(
      normal(decodeFields(item)),
      normal(reference.value()),
      Buffer.from(item).toString('hex'),
    )
    assert.equal(reference.at, end)
  }
  assert.ok(accepted > 10_000 && refused > 1_000, `${accepted} accepted, ${refused} refused`)
})
