import { assert, deferred } from '@popmq/kit'
import { WebSocket } from 'ws'
import { type Header, headerBytes, readHeader, socketOptions } from './wire.ts'

/** Opens a connection to the stripped server; `onReply` gets each reply's header and records. */
export async function openConnection(
  port: number,
  onReply: (header: Header, records: Buffer) => void,
): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, {
    ...socketOptions,
    // Masking protects proxies from browsers; here it would only cost.
    generateMask: (mask) => mask.fill(0),
  })
  const opened = deferred()
  socket.on('error', (error) => opened.reject(error))
  socket.on('open', () => opened.resolve())
  socket.on('message', (data) => {
    assert(Buffer.isBuffer(data), 'ws gives one buffer per message unless told otherwise')
    onReply(readHeader(data), data.subarray(headerBytes))
  })
  await opened.promise
  return socket
}
