import { crc32 } from 'node:zlib'
import { assert } from '@popmq/kit'
import {
  bytes,
  decodeFields,
  encodeFields,
  flag,
  list,
  MqError,
  object,
  oneOf,
  optional,
  readU64,
  text,
  whole,
  writeU64,
} from '@popmq/protocol'
import { type RegistryOp, registryLimits } from '../core/registry-port.ts'

/**
 * The journal of the embedded registry: what has been committed since the snapshot of the same generation.
 * Little-endian. The file starts with
 *    0       4        8            16    20
 *    | magic | format | generation | crc |
 * and then has records, one after the other:
 *    0        4     8          16       24
 *    | length | crc | position | synced | CBOR map {session, ops} …
 * `length` is of the whole record, `crc` covers all but itself, `position` is where in the file the record begins, and
 * below `synced` everything was on disk when it was written. A record without ops is a mark: it follows each sync, to
 * prove it. So bad bytes at p are rot when a later record names a synced position above p: something answered is gone.
 * Else they are the torn tail of what was never answered.
 */
export const journalFormat = 1
export const journalHeaderBytes = 20
const magic = 0x4a514d50
const recordHeaderBytes = 24
const mostRecordBytes = 4 * 1_048_576

export interface JournalEntry {
  readonly session: number
  readonly ops: readonly RegistryOp[]
}

export interface JournalContent {
  readonly generation: number
  readonly entries: readonly JournalEntry[]
  /** Where the last good record ends: what follows is torn. */
  readonly end: number
}

export function encodeJournalHeader(generation: number): Uint8Array {
  const header = new Uint8Array(journalHeaderBytes)
  const view = viewOf(header)
  view.setUint32(0, magic, true)
  view.setUint32(4, journalFormat, true)
  writeU64(view, 8, generation)
  view.setUint32(16, crc32(header.subarray(0, 16)), true)
  return header
}

export function encodeJournalRecord(
  { session, ops }: JournalEntry,
  { position, synced }: { position: number; synced: number },
): Uint8Array {
  const payload = encodeFields({ session, ops })
  const record = new Uint8Array(recordHeaderBytes + payload.length)
  assert(record.length <= mostRecordBytes, 'a journal record has at most 4 MiB')
  const view = viewOf(record)
  view.setUint32(0, record.length, true)
  writeU64(view, 8, position)
  writeU64(view, 16, synced)
  record.set(payload, recordHeaderBytes)
  view.setUint32(4, recordCrc(record), true)
  return record
}

/** @throws MqError `newer_format`, `damaged_log`, `data_directory_invalid` */
export function decodeJournal(file: Uint8Array, name: string): JournalContent {
  const generation = decodeHeader(file, name)
  const entries: JournalEntry[] = []
  let at = journalHeaderBytes
  for (let record = recordAt(file, at); record !== undefined; record = recordAt(file, at)) {
    const entry = decodeEntry(record, name)
    if (entry.ops.length > 0) entries.push(entry)
    at += record.length
  }
  refuseRot(file, at, name)
  return { generation, entries, end: at }
}

function decodeHeader(file: Uint8Array, name: string): number {
  const view = viewOf(file)
  if (file.length < journalHeaderBytes || view.getUint32(0, true) !== magic) {
    throw new MqError(
      'data_directory_invalid',
      `the file ${name} does not begin as a registry journal`,
    )
  }
  const format = view.getUint32(4, true)
  if (format > journalFormat) throw newerFormat(name, format, journalFormat)
  if (view.getUint32(16, true) !== crc32(file.subarray(0, 16))) throw damaged(name, 0)
  return readU64(view, 8)
}

/** The whole record at `at`; undefined where there is none that is whole and good. */
function recordAt(file: Uint8Array, at: number): Uint8Array | undefined {
  if (at + recordHeaderBytes > file.length) return undefined
  const view = viewOf(file)
  const length = view.getUint32(at, true)
  if (length < recordHeaderBytes || length > mostRecordBytes || at + length > file.length)
    return undefined
  if (view.getUint32(at + 8, true) !== at >>> 0 || view.getUint32(at + 12, true) !== 0)
    return undefined
  const record = file.subarray(at, at + length)
  return view.getUint32(at + 4, true) === recordCrc(record) ? record : undefined
}

function refuseRot(file: Uint8Array, bad: number, name: string): void {
  for (let at = bad + 1; at + recordHeaderBytes <= file.length; at += 1) {
    const record = recordAt(file, at)
    if (record !== undefined && readU64(viewOf(record), 16) > bad) throw damaged(name, bad)
  }
}

const entryFields = object({
  session: whole(),
  ops: list(
    object({
      kind: oneOf('check', 'create', 'set', 'remove'),
      path: text(4_096),
      version: optional(whole(1)),
      value: optional(bytes(registryLimits.valueBytes)),
      ephemeral: optional(flag),
    }),
    1_000_000,
  ),
})

function decodeEntry(record: Uint8Array, name: string): JournalEntry {
  try {
    const { session, ops } = entryFields(decodeFields(record.subarray(recordHeaderBytes)), '')
    // An op that lacks what its kind needs was never written: the record's CRC was good.
    return { session, ops: ops as readonly RegistryOp[] }
  } catch (cause) {
    throw new MqError(
      'data_directory_invalid',
      `the file ${name} holds a record that is not a change`,
      { cause },
    )
  }
}

function recordCrc(record: Uint8Array): number {
  return crc32(record.subarray(8), crc32(record.subarray(0, 4)))
}

function viewOf(part: Uint8Array): DataView {
  return new DataView(part.buffer, part.byteOffset, part.byteLength)
}

export function newerFormat(name: string, found: number, known: number): MqError {
  return new MqError(
    'newer_format',
    `the file ${name} has format ${found}, this version knows up to ${known}`,
    {
      facts: { found, known },
    },
  )
}

export function damaged(name: string, at: number): MqError {
  return new MqError('damaged_log', `the registry file ${name} is damaged at byte ${at}`, {
    facts: { file: name, at },
  })
}
