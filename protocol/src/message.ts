import { decodeFields, encodeFields } from './body.ts'
import { MqError } from './errors.ts'
import { dictionary, text } from './fields.ts'
import { hashOfText, tagHash } from './hash.ts'
import { limits } from './limits.ts'
import { prescan } from './prescan.ts'
import { flags, recordFixedBytes, valueFormMask } from './record-layout.ts'
import type { RecordView } from './record.ts'
import { textBytes } from './utf8.ts'
import { encodeBody, formOf } from './value.ts'

/**
 * The sections between a record's fixed part and its body, each present when its flag is set, in this order:
 *    deliver at u64 | tag: length u16, UTF-8 | key: length u16, UTF-8 | headers: length u32, CBOR map text → text
 *    | dedup id: length u16, UTF-8 | history: length u32, bytes | delay u64 | source: length u16, bytes
 */
export interface MessageSections {
  /** When the message is to become visible, in ms since 1970. */
  readonly deliverAt?: number
  readonly tag?: string
  readonly key?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly dedupId?: string
  /** What became of earlier deliveries: see `decodeHistory`. Only the broker writes it. */
  readonly history?: Uint8Array
  /** How long after its append the message is to become visible, in ms. */
  readonly delayMs?: number
  /** Where a copy comes from: see `decodeSource`. Only the broker writes it. */
  readonly source?: Uint8Array
}

/** A message before it has a place: measured once, its texts still texts, so that their bytes are written only once. */
export interface PreparedMessage {
  readonly flags: number
  readonly tagHash: number
  readonly keyHash: number
  readonly deliverAt: number | undefined
  readonly tag: string | undefined
  readonly key: string | undefined
  readonly headers: Uint8Array | undefined
  readonly dedupId: string | undefined
  readonly history: Uint8Array | undefined
  readonly delayMs: number | undefined
  readonly source: Uint8Array | undefined
  readonly body: Uint8Array
  /** Length of the record that it will be. */
  readonly recordBytes: number
}

const decoder = new TextDecoder()

/** @throws MqError `invalid_request` naming the section that is too long or not allowed. */
export function prepareMessage(
  { deliverAt, tag, key, headers, dedupId, history, delayMs, source }: MessageSections,
  value: unknown,
): PreparedMessage {
  const body = encodeBody(value)
  const headerBytes = headers === undefined ? undefined : encodeHeaders(headers)
  let set: number = formOf(value)
  let recordBytes = recordFixedBytes + body.length
  if (tag !== undefined) {
    set |= flags.tag
    recordBytes += 2 + measured('tag', tag, limits.tagBytes)
  }
  if (key !== undefined) {
    set |= flags.key
    recordBytes += 2 + measured('key', key, limits.keyBytes)
  }
  if (headerBytes !== undefined) {
    set |= flags.headers
    recordBytes += 4 + headerBytes.length
  }
  if (dedupId !== undefined) {
    set |= flags.dedupId
    recordBytes += 2 + measured('dedupId', dedupId, limits.dedupIdBytes)
  }
  if (deliverAt !== undefined) {
    set |= flags.deliverAt
    recordBytes += timed('deliverAt', deliverAt, 2 ** 48 - 1)
  }
  if (delayMs !== undefined) {
    set |= flags.delay
    recordBytes += timed('delayMs', delayMs, limits.delayMs)
  }
  if (history !== undefined) {
    set |= flags.history
    recordBytes += 4 + history.length
  }
  if (source !== undefined) {
    set |= flags.source
    recordBytes += 2 + source.length
  }
  // Named one by one: a spread here took five microseconds a message.
  return {
    flags: set,
    tagHash: tag === undefined ? 0 : tagHash(tag),
    keyHash: key === undefined ? 0 : hashOfText(key),
    deliverAt,
    tag,
    key,
    headers: headerBytes,
    dedupId,
    history,
    delayMs,
    source,
    body,
    recordBytes,
  }
}

/** @returns the bytes that a time takes */
function timed(name: string, value: number, most: number): number {
  if (Number.isSafeInteger(value) && value >= 0 && value <= most) return 8
  throw new MqError(
    'invalid_request',
    `${name} must be a whole number from 0 to ${most}, got ${value}`,
  )
}

function measured(name: string, value: string, mostBytes: number): number {
  const bytes = typeof value === 'string' ? textBytes(value) : undefined
  if (bytes === undefined) throw new MqError('invalid_request', `${name} must be well-formed text`)
  if (bytes > mostBytes)
    throw new MqError('invalid_request', `${name} of ${bytes} bytes is longer than ${mostBytes}`)
  return bytes
}

function encodeHeaders(headers: Readonly<Record<string, string>>): Uint8Array {
  const entries = Object.entries(headers)
  if (entries.length > limits.keysPerMap) {
    throw new MqError(
      'invalid_request',
      `${entries.length} headers are more than ${limits.keysPerMap}`,
    )
  }
  for (const [name, value] of entries) {
    if (name === '__proto__')
      throw new MqError('invalid_request', 'a header must not be named __proto__')
    if (typeof value !== 'string' || /\p{Surrogate}/u.test(name + value)) {
      throw new MqError(
        'invalid_request',
        `header ${JSON.stringify(name)} must be well-formed text`,
      )
    }
  }
  const bytes = encodeFields(headers)
  if (bytes.length > limits.headersBytes) {
    throw new MqError(
      'invalid_request',
      `headers of ${bytes.length} bytes are longer than ${limits.headersBytes}`,
    )
  }
  return bytes
}

/** Reads the sections of a whole record. @throws MqError `corrupt_record` when they do not add up to its length. */
export function readSections(record: RecordView): MessageSections {
  const { bytes, flags: set } = record
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const bodyStart = record.end - record.bodyLength
  let at = record.start + recordFixedBytes
  const take = (flag: number, lengthBytes: 2 | 4): Uint8Array | undefined => {
    if ((set & flag) === 0) return undefined
    if (at + lengthBytes > bodyStart) throw corrupt()
    const length = lengthBytes === 2 ? view.getUint16(at, true) : view.getUint32(at, true)
    at += lengthBytes + length
    if (at > bodyStart) throw corrupt()
    return bytes.subarray(at - length, at)
  }
  const takeTime = (flag: number): number | undefined => {
    if ((set & flag) === 0) return undefined
    at += 8
    if (at > bodyStart) throw corrupt()
    return view.getUint32(at - 8, true) + view.getUint32(at - 4, true) * 2 ** 32
  }
  const deliverAt = takeTime(flags.deliverAt)
  const tag = take(flags.tag, 2)
  const key = take(flags.key, 2)
  const headers = take(flags.headers, 4)
  const dedupId = take(flags.dedupId, 2)
  const history = take(flags.history, 4)
  const delayMs = takeTime(flags.delay)
  const source = take(flags.source, 2)
  if (at !== bodyStart) throw corrupt()
  return {
    ...(deliverAt === undefined ? {} : { deliverAt }),
    ...(tag === undefined ? {} : { tag: decoder.decode(tag) }),
    ...(key === undefined ? {} : { key: decoder.decode(key) }),
    ...(headers === undefined ? {} : { headers: decodeHeaders(headers) }),
    ...(dedupId === undefined ? {} : { dedupId: decoder.decode(dedupId) }),
    ...(history === undefined ? {} : { history }),
    ...(delayMs === undefined ? {} : { delayMs }),
    ...(source === undefined ? {} : { source }),
  }
}

/** Flags that this version gives a meaning to; any other bit refuses the record. */
const knownFlags = valueFormMask | Object.values(flags).reduce((all, flag) => all | flag, 0)

/** Whether the sections of a whole record add up to its length and keep their limits. Reads lengths only. */
export function sectionsHold(record: RecordView): boolean {
  const { bytes, flags: set } = record
  if ((set & ~knownFlags) !== 0 || (set & valueFormMask) === valueFormMask) return false
  const bodyStart = record.end - record.bodyLength
  let at = record.start + recordFixedBytes + ((set & flags.deliverAt) === 0 ? 0 : 8)
  if ((set & sectionFlags) === 0) return at === bodyStart
  for (const { flag, lengthBytes, mostBytes } of sectionLayout) {
    if ((set & flag) === 0) continue
    if (lengthBytes === 0) {
      at += 8
      continue
    }
    if (at + lengthBytes > bodyStart) return false
    const length = readLength(bytes, at, lengthBytes)
    if (length > mostBytes) return false
    at += lengthBytes + length
  }
  return at === bodyStart
}

/** Without a DataView: making one costs more than the rest of the walk, and every record is walked. */
function readLength(bytes: Uint8Array, at: number, lengthBytes: 2 | 4): number {
  const low = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8)
  return lengthBytes === 2
    ? low
    : low + ((bytes[at + 2] ?? 0) | ((bytes[at + 3] ?? 0) << 8)) * 0x1_0000
}

const sectionLayout = [
  { flag: flags.tag, lengthBytes: 2, mostBytes: limits.tagBytes },
  { flag: flags.key, lengthBytes: 2, mostBytes: limits.keyBytes },
  { flag: flags.headers, lengthBytes: 4, mostBytes: limits.headersBytes },
  { flag: flags.dedupId, lengthBytes: 2, mostBytes: limits.dedupIdBytes },
  { flag: flags.history, lengthBytes: 4, mostBytes: limits.historyBytes },
  { flag: flags.delay, lengthBytes: 0, mostBytes: 8 },
  { flag: flags.source, lengthBytes: 2, mostBytes: 256 },
] as const
const sectionFlags = sectionLayout.reduce((all, { flag }) => all | flag, 0)

const headerFields = dictionary(text(limits.headersBytes), limits.keysPerMap)

function decodeHeaders(bytes: Uint8Array): Readonly<Record<string, string>> {
  // Nobody on the way has looked inside: the producer's client may have written anything.
  try {
    if (prescan(bytes, 0, { depth: 1, items: limits.requestItems }) !== bytes.length)
      throw corrupt()
    return headerFields(decodeFields(bytes), '')
  } catch (cause) {
    throw new MqError('corrupt_record', 'the headers of a record are not a map of text', { cause })
  }
}

function corrupt(): MqError {
  return new MqError('corrupt_record', 'the sections of a record do not add up to its length')
}
