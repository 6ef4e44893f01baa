import type { Clock, Random } from '@popmq/kit'
import { type HandleKey, MqError } from '@popmq/protocol'
import type { Leadership } from './leadership.ts'
import type { RegistrySession } from './registry-port.ts'
import { decodeValue, encodeValue, handleKeysValue, paths } from './registry-values.ts'

export interface HandleKeysParts {
  readonly leadership: Leadership
  readonly session: Pick<RegistrySession, 'read'>
  readonly clock: Pick<Clock, 'now'>
  readonly random: Pick<Random, 'fill'>
}

interface DatedKey extends HandleKey {
  /** Wall time. */
  readonly madeAt: number
}

/**
 * The keys that brokers authenticate handles with: secrets, to be shown to brokers alone. The newest makes handles, all
 * read them. A key is
 *    newest   made at the first lead, and whenever the one before has been that for `renewMs`
 *    live     until a second one is made after it; then it is dropped: its handles are far older than a lease may be
 */
export class HandleKeys {
  readonly #parts: HandleKeysParts
  /** Newest first. */
  #keys: readonly DatedKey[] = []
  #nodeVersion = 0
  #changedVersion = 0

  constructor(parts: HandleKeysParts) {
    this.#parts = parts
  }

  /** Reads the keys, and makes the first. @throws MqError `data_directory_invalid`, those of a write */
  async restore(): Promise<void> {
    const { session, leadership } = this.#parts
    const node = await session.read(paths.handleKeys)
    if (node !== undefined) {
      const { keys } = decodeValue(handleKeysValue, paths.handleKeys, node)
      this.#keys = keys.map(({ id, key, madeAt }) => ({ id, key: bytesOf(key), madeAt }))
      this.#nodeVersion = node.version
    }
    this.#changedVersion = leadership.counters.version
    await this.renew()
  }

  list(): HandleKey[] {
    return this.#keys.map(({ id, key }) => ({ id, key }))
  }

  /** Whether they are others than at `version` of what brokers are told. */
  changedSince(version: number): boolean {
    return version < this.#changedVersion
  }

  /** Makes a key when the newest is old. @returns whether it did */
  async renew(): Promise<boolean> {
    const { leadership, clock } = this.#parts
    const [newest] = this.#keys
    // A clock that was put back makes a key look younger than it is: it lives longer, that is all.
    if (newest !== undefined && clock.now() - newest.madeAt < renewMs) return false
    try {
      await leadership.write(
        () => this.#prepare(),
        ({ keys, counters }) => {
          this.#keys = keys
          this.#nodeVersion += 1
          this.#changedVersion = counters.version
        },
      )
    } catch (error) {
      // The keys that are there serve on, and this is tried again in a day.
      if (newest !== undefined && error instanceof MqError) return false
      throw error
    }
    return true
  }

  #prepare() {
    const { leadership, clock, random } = this.#parts
    const [newest] = this.#keys
    const id = newest === undefined ? 0 : (newest.id + 1) % 256
    const made = { id, key: random.fill(new Uint8Array(keyBytes)), madeAt: clock.now() }
    const keys = [made, ...this.#keys].slice(0, mostKeys)
    const value = encodeValue({ keys: keys.map((each) => ({ ...each, key: hexOf(each.key) })) })
    const path = paths.handleKeys
    const op =
      this.#nodeVersion === 0
        ? ({ kind: 'create', path, value } as const)
        : ({ kind: 'set', path, value, version: this.#nodeVersion } as const)
    return { keys, ops: [op], counters: { version: leadership.counters.version + 1 } }
  }
}

const keyBytes = 32
const mostKeys = 2
const renewMs = 30 * 86_400_000

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
}
