/**
 * The least that can be called a message server: one append-only file with group commit, and an index per partition.
 * No topics, no idempotence, no recovery, no limits. It shows what sockets, checksums and the disk cost by themselves.
 */
import { crc32 } from 'node:zlib'
import { assert, deferred } from '@popmq/kit'
import { type RawData, type WebSocket, WebSocketServer } from 'ws'
import { takePart } from '../participant.ts'
import { AppendFile } from './append-file.ts'
import { PartitionIndex } from './partition-index.ts'
import {
  crcStart,
  type Header,
  headerBytes,
  kinds,
  readHeader,
  replyBit,
  socketOptions,
  writeHeader,
} from './wire.ts'

const mostFetchBytes = 1_048_576

class StrippedServer {
  readonly #file: AppendFile
  readonly #partitions = new Map<number, PartitionIndex>()
  /** Fetches that found nothing: tried again when more is synced. */
  #held: (() => void)[] = []

  constructor(path: string) {
    this.#file = new AppendFile(path)
  }

  accept(socket: WebSocket): void {
    socket.on('error', () => socket.terminate())
    socket.on('message', (data: RawData) => {
      const message = bufferOf(data)
      const header = readHeader(message)
      if (header.kind === kinds.append) this.#append(socket, header, message.subarray(headerBytes))
      else this.#fetch(socket, header)
    })
  }

  #append(socket: WebSocket, header: Header, records: Buffer): void {
    const { position, bytes } = this.#file.append(records)
    const index = this.#index(header)
    const now = Date.now()
    for (let at = 0; at < bytes.length;) {
      const length = bytes.readUInt32LE(at)
      const end = at + length
      assert(
        crc32(bytes.subarray(at + crcStart, end)) === bytes.readUInt32LE(at + 4),
        'a record arrives as it was sent',
      )
      bytes.writeDoubleLE(position + at, at + 8)
      bytes.writeDoubleLE(index.count, at + 16)
      bytes.writeDoubleLE(now, at + 24)
      index.add(position + at, length)
      at = end
    }
    this.#file.whenSynced(() => {
      reply(socket, header, { offset: index.count, parts: [] })
      for (const retry of this.#held.splice(0)) retry()
    })
  }

  #fetch(socket: WebSocket, header: Header): void {
    const range = { end: this.#file.synced, mostBytes: mostFetchBytes }
    const { pieces, next } = this.#index(header).pieces(header.offset, range)
    if (pieces.length === 0) {
      this.#held.push(() => this.#fetch(socket, header))
      return
    }
    const parts = pieces.map(({ position, length }) => this.#file.read(position, length))
    reply(socket, header, { offset: next, parts })
  }

  #index({ run, partition }: Header): PartitionIndex {
    const key = run * 256 + partition
    const index = this.#partitions.get(key) ?? new PartitionIndex()
    this.#partitions.set(key, index)
    return index
  }
}

function reply(
  socket: WebSocket,
  header: Header,
  { offset, parts }: { offset: number; parts: Buffer[] },
): void {
  const head = writeHeader(Buffer.allocUnsafe(headerBytes), {
    ...header,
    kind: header.kind | replyBit,
    offset,
  })
  socket.send(parts.length === 0 ? head : Buffer.concat([head, ...parts]))
}

function bufferOf(data: RawData): Buffer {
  assert(Buffer.isBuffer(data), 'ws gives one buffer per message unless told otherwise')
  return data
}

takePart({
  listen: async ({ path }: { path: string }) => {
    const server = new StrippedServer(path)
    const listening = deferred()
    const sockets = new WebSocketServer(
      { host: '127.0.0.1', port: 0, ...socketOptions },
      listening.resolve,
    )
    sockets.on('error', (error) => listening.reject(error))
    sockets.on('connection', (socket) => server.accept(socket))
    await listening.promise
    const address = sockets.address()
    assert(typeof address === 'object' && address !== null, 'a listening socket has a port')
    return { port: address.port }
  },
})
