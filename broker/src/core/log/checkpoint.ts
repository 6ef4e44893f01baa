import { readWhole, replaceFile, type Storage } from '@popmq/kit'
import {
  type Checksum,
  type LogPosition,
  logPosition,
  MqError,
  readU64,
  writeU64,
} from '@popmq/protocol'

/**
 * A checkpoint is one file that stands for all of the log below its positions, as far as sequencers and views go.
 * Little-endian:
 *
 *     0  4B   "PMCP"
 *     4  u16  format (1)            6  u16  number of sections
 *     8  u32  crc of everything from byte 12 on
 *    12  u64  sequenced: sequencers hold every record below; recovery reads the log from here
 *    20  u64  viewed: views hold every record below (≥ sequenced)
 *    28  u64  synced: the log was synced up to here (≥ viewed)
 *    36  u64  end of the log at a clean stop, 0 otherwise
 *    44       sections: name length u8, name, length u32, bytes
 *
 * `checkpoints/<20-digit viewed>.checkpoint`; the newest two are kept, so that one bad file costs only time.
 */
export interface Checkpoint {
  readonly sequenced: LogPosition
  readonly viewed: LogPosition
  readonly synced: LogPosition
  /** Where the log ended, when the broker was stopped in good order. */
  readonly cleanEnd: LogPosition | undefined
  readonly sections: ReadonlyMap<string, Uint8Array>
}

export const checkpointFolder = 'checkpoints'
const checkpointsKept = 2
const magic = 0x50434d50
const format = 1
const headBytes = 44

/** An empty log's. */
export const emptyCheckpoint: Checkpoint = {
  sequenced: logPosition(0),
  viewed: logPosition(0),
  synced: logPosition(0),
  cleanEnd: undefined,
  sections: new Map(),
}

export function encodeCheckpoint(checkpoint: Checkpoint, crc32: Checksum): Uint8Array {
  const sections = [...checkpoint.sections].map(([name, content]) => ({
    name: new TextEncoder().encode(name),
    content,
  }))
  const bytes = new Uint8Array(
    headBytes +
      sections.reduce((sum, { name, content }) => sum + 5 + name.length + content.length, 0),
  )
  const view = new DataView(bytes.buffer)
  view.setUint32(0, magic, true)
  view.setUint16(4, format, true)
  view.setUint16(6, sections.length, true)
  writeU64(view, 12, checkpoint.sequenced)
  writeU64(view, 20, checkpoint.viewed)
  writeU64(view, 28, checkpoint.synced)
  writeU64(view, 36, checkpoint.cleanEnd ?? 0)
  let at = headBytes
  for (const { name, content } of sections) {
    view.setUint8(at, name.length)
    bytes.set(name, at + 1)
    view.setUint32(at + 1 + name.length, content.length, true)
    bytes.set(content, at + 5 + name.length)
    at += 5 + name.length + content.length
  }
  view.setUint32(8, crc32(bytes, 12, bytes.length), true)
  return bytes
}

/** @returns undefined when the bytes are not a whole checkpoint. @throws MqError `newer_format` */
export function decodeCheckpoint(bytes: Uint8Array, crc32: Checksum): Checkpoint | undefined {
  if (bytes.length < headBytes) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (
    view.getUint32(0, true) !== magic ||
    view.getUint32(8, true) !== crc32(bytes, 12, bytes.length)
  )
    return undefined
  if (view.getUint16(4, true) !== format)
    throw new MqError('newer_format', `a checkpoint has format ${view.getUint16(4, true)}`)
  const sections = new Map<string, Uint8Array>()
  let at = headBytes
  for (let left = view.getUint16(6, true); left > 0; left -= 1) {
    const nameEnd = at + 1 + view.getUint8(at)
    const name = new TextDecoder().decode(bytes.subarray(at + 1, nameEnd))
    const end = nameEnd + 4 + view.getUint32(nameEnd, true)
    sections.set(name, bytes.subarray(nameEnd + 4, end))
    at = end
  }
  const cleanEnd = readU64(view, 36)
  return {
    sequenced: logPosition(readU64(view, 12)),
    viewed: logPosition(readU64(view, 20)),
    synced: logPosition(readU64(view, 28)),
    cleanEnd: cleanEnd === 0 ? undefined : logPosition(cleanEnd),
    sections,
  }
}

/** The checkpoints of a data directory. */
export class Checkpoints {
  readonly #storage: Storage
  readonly #crc32: Checksum

  constructor(storage: Storage, crc32: Checksum) {
    this.#storage = storage
    this.#crc32 = crc32
  }

  /** The newest whole one. @returns `emptyCheckpoint` when there is none */
  async newest(): Promise<Checkpoint> {
    for (const name of (await this.#names()).toReversed()) {
      const bytes = await readWhole(this.#storage, `${checkpointFolder}/${name}`)
      const checkpoint = bytes === undefined ? undefined : decodeCheckpoint(bytes, this.#crc32)
      if (checkpoint !== undefined) return checkpoint
    }
    return emptyCheckpoint
  }

  /**
   * Writes a checkpoint, durable when this resolves, and forgets all but the newest two.
   * @returns below which position no kept checkpoint needs the log: files below may go
   */
  async write(checkpoint: Checkpoint): Promise<LogPosition> {
    const bytes = encodeCheckpoint(checkpoint, this.#crc32)
    await replaceFile(
      this.#storage,
      `${checkpointFolder}/${String(checkpoint.viewed).padStart(20, '0')}.checkpoint`,
      bytes,
    )
    const names = await this.#names()
    for (const name of names.slice(0, -checkpointsKept))
      await this.#storage.remove(`${checkpointFolder}/${name}`)
    return this.#lowestNeeded()
  }

  async #lowestNeeded(): Promise<LogPosition> {
    const [oldest, ...newer] = await this.#names()
    if (oldest === undefined || newer.length === 0) return logPosition(0)
    const bytes = await readWhole(this.#storage, `${checkpointFolder}/${oldest}`)
    const checkpoint = bytes === undefined ? undefined : decodeCheckpoint(bytes, this.#crc32)
    return checkpoint?.sequenced ?? logPosition(0)
  }

  async #names(): Promise<readonly string[]> {
    const files = await this.#storage.list(checkpointFolder)
    return files.map(({ name }) => name).filter((name) => /^\d{20}\.checkpoint$/.test(name))
  }
}
