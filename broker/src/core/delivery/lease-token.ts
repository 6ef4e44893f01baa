import {
  type GroupId,
  groupId,
  type HandleKey,
  type PartitionKey,
  readU48,
  type TimeMs,
  writeU48,
} from '@popmq/protocol'

/** Computes a message authentication code of 16 bytes: a port, so that this folder stays pure. */
export type Authenticate = (key: Uint8Array, bytes: Uint8Array) => Uint8Array

/**
 * What handles are made of. Opaque to clients: any process may hand it back, nobody can make one. 46 bytes:
 *
 *     0  u8   version 1
 *     1  u8   key id
 *     2  u32  group id
 *     6  u48  partition key
 *    12  u32  generation
 *    16  u48  nonce           of the lease
 *    22  u16  attempt
 *    24  u48  until           by the broker's clock, for people
 *    30  16B  code over the bytes before
 */
export interface LeaseToken {
  readonly groupId: GroupId
  readonly key: PartitionKey
  readonly generation: number
  readonly nonce: number
  readonly attempt: number
  readonly until: TimeMs
}

const version = 1
const signedBytes = 30
const codeBytes = 16

/** Makes and reads lease tokens, under keys that the coordinator gives. */
export class LeaseTokens {
  readonly #authenticate: Authenticate
  #keys: readonly HandleKey[] = []

  constructor(authenticate: Authenticate) {
    this.#authenticate = authenticate
  }

  /** Newest first: it signs, all of them are good for reading. */
  use(keys: readonly HandleKey[]): void {
    this.#keys = keys
  }

  /** Whether there is a key to sign with. */
  get isReady(): boolean {
    return this.#keys.length > 0
  }

  sign(token: LeaseToken): Uint8Array {
    const [newest] = this.#keys
    if (newest === undefined) throw new Error('a lease is signed once the coordinator gave a key')
    const bytes = new Uint8Array(signedBytes + codeBytes)
    const view = new DataView(bytes.buffer)
    view.setUint8(0, version)
    view.setUint8(1, newest.id)
    view.setUint32(2, token.groupId, true)
    writeU48(view, 6, token.key)
    view.setUint32(12, token.generation, true)
    writeU48(view, 16, token.nonce)
    view.setUint16(22, token.attempt, true)
    writeU48(view, 24, token.until)
    bytes.set(this.#codeOf(newest, bytes), signedBytes)
    return bytes
  }

  /** @returns undefined for bytes that no broker of this cluster made */
  read(bytes: Uint8Array): LeaseToken | undefined {
    if (bytes.length !== signedBytes + codeBytes || bytes[0] !== version) return undefined
    const key = this.#keys.find(({ id }) => id === bytes[1])
    if (key === undefined || !isSame(this.#codeOf(key, bytes), bytes.subarray(signedBytes)))
      return undefined
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return {
      groupId: groupId(view.getUint32(2, true)),
      key: readU48(view, 6) as PartitionKey,
      generation: view.getUint32(12, true),
      nonce: readU48(view, 16),
      attempt: view.getUint16(22, true),
      until: readU48(view, 24),
    }
  }

  #codeOf({ key }: HandleKey, bytes: Uint8Array): Uint8Array {
    return this.#authenticate(key, bytes.subarray(0, signedBytes)).subarray(0, codeBytes)
  }
}

/** In the same time wherever they differ. */
function isSame(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length
  for (let at = 0; at < a.length; at += 1) difference |= (a[at] ?? 0) ^ (b[at] ?? 0)
  return difference === 0
}
