import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { MqError } from '@popmq/protocol'

/** Bytes to read, and how many where that is known. */
export interface Input {
  readonly chunks: AsyncIterable<Uint8Array>
  readonly totalBytes: number | undefined
}

const chunkBytes = 256 * 1_024

/** Opens a file, or stdin for `-`. @throws MqError `invalid_request` when it cannot be opened */
export async function openInput(path: string): Promise<Input> {
  if (path === '-') return { chunks: process.stdin, totalBytes: undefined }
  try {
    const file = await open(path)
    const stats = await file.stat()
    if (stats.isDirectory()) throw new Error('it is a folder')
    const chunks = createReadStream(path, { fd: file, highWaterMark: chunkBytes })
    return { chunks, totalBytes: stats.isFile() ? stats.size : undefined }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new MqError('invalid_request', `${JSON.stringify(path)} cannot be read: ${why}`, {
      cause,
    })
  }
}
