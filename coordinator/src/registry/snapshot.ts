import { crc32 } from 'node:zlib'
import {
  bytes,
  decodeFields,
  encodeFields,
  list,
  MqError,
  object,
  readU64,
  text,
  whole,
  writeU64,
} from '@popmq/protocol'
import { registryLimits } from '../core/registry-port.ts'
import { RegistryTree } from '../core/registry-tree.ts'
import { damaged, newerFormat } from './journal.ts'

/**
 * The whole tree in one file, little-endian; the journal of the same generation goes on from it.
 *    0       4        8            16              24    28
 *    | magic | format | generation | bytes in file | crc | CBOR map {nodes} …
 * `crc` covers all but itself.
 */
export const snapshotFormat = 1
const magic = 0x53514d50
const headerBytes = 28

const content = object({
  nodes: list(
    object({
      path: text(4_096),
      value: bytes(registryLimits.valueBytes),
      version: whole(1),
      owner: whole(),
    }),
    100_000_000,
  ),
})

export function encodeSnapshot(tree: RegistryTree, generation: number): Uint8Array {
  const payload = encodeFields({ nodes: tree.nodes() })
  const file = new Uint8Array(headerBytes + payload.length)
  const view = viewOf(file)
  view.setUint32(0, magic, true)
  view.setUint32(4, snapshotFormat, true)
  writeU64(view, 8, generation)
  writeU64(view, 16, file.length)
  file.set(payload, headerBytes)
  view.setUint32(24, snapshotCrc(file), true)
  return file
}

/** @throws MqError `newer_format`, `damaged_log`, `data_directory_invalid` */
export function decodeSnapshot(
  file: Uint8Array,
  name: string,
): { tree: RegistryTree; generation: number } {
  const view = viewOf(file)
  if (file.length < headerBytes || view.getUint32(0, true) !== magic) {
    throw new MqError(
      'data_directory_invalid',
      `the file ${name} does not begin as a registry snapshot`,
    )
  }
  const format = view.getUint32(4, true)
  if (format > snapshotFormat) throw newerFormat(name, format, snapshotFormat)
  if (view.getUint32(24, true) !== snapshotCrc(file)) throw damaged(name, headerBytes)
  if (readU64(view, 16) !== file.length) throw damaged(name, 16)
  const tree = new RegistryTree()
  try {
    for (const node of content(decodeFields(file.subarray(headerBytes)), '').nodes)
      tree.restore(node)
  } catch (cause) {
    throw new MqError('data_directory_invalid', `the file ${name} does not hold a registry tree`, {
      cause,
    })
  }
  return { tree, generation: readU64(view, 8) }
}

function snapshotCrc(file: Uint8Array): number {
  return crc32(file.subarray(headerBytes), crc32(file.subarray(0, 24)))
}

function viewOf(part: Uint8Array): DataView {
  return new DataView(part.buffer, part.byteOffset, part.byteLength)
}
