import { once } from 'node:events'
import net, { type AddressInfo, type Socket } from 'node:net'
import { FrameReader } from '../zookeeper/frame-reader.ts'

/** What is done to one reply on its way back. */
export type ReplyFault =
  | 'cut before'
  | 'cut in half'
  /** The code of an error in place of the one that the reply has. */
  | { readonly code: number }

export interface SeenRequest {
  /** Which connection, from 1. */
  readonly connection: number
  /** The opcode of ZooKeeper's protocol. */
  readonly type: number
}

interface Pair {
  readonly client: Socket
  readonly server: Socket | undefined
  isFrozen: boolean
}

/** Opcodes of ZooKeeper's protocol. */
export const requestTypes = {
  exists: 3,
  read: 4,
  children: 12,
  commit: 14,
  authenticate: 100,
  setWatches: 101,
} as const

/**
 * Stands between a client and a ZooKeeper server, reads the frames that pass and does what a bad network does. New
 * connections are passed on (`pass`), taken and left unanswered (`mute`), or closed at once (`refuse`).
 */
export class FaultProxy {
  readonly port: number
  readonly requests: SeenRequest[] = []
  /** The answers to the handshakes, in order: session id and password are in them. */
  readonly handshakes: Buffer[] = []
  mode: 'pass' | 'mute' | 'refuse' = 'pass'
  readonly #server: net.Server
  readonly #targetPort: number
  readonly #pairs = new Set<Pair>()
  readonly #faults = new Map<number, ReplyFault>()
  #accepted = 0

  private constructor(server: net.Server, targetPort: number) {
    this.#server = server
    this.#targetPort = targetPort
    this.port = (server.address() as AddressInfo).port
    server.on('connection', (client) => this.#accept(client))
  }

  static async start(targetPort: number, host = '127.0.0.1'): Promise<FaultProxy> {
    const server = net.createServer()
    server.on('error', fail)
    await once(server.listen(0, host), 'listening')
    return new FaultProxy(server, targetPort)
  }

  get hosts(): string {
    return `127.0.0.1:${this.port}`
  }

  /** How many connections have been taken. */
  get accepted(): number {
    return this.#accepted
  }

  /** What becomes of the reply to the next request of that type; the request itself passes. */
  nextReply(type: number, fault: ReplyFault): void {
    this.#faults.set(type, fault)
  }

  /** The connections there are stay open, and nothing passes any more, in either direction. */
  freeze(): void {
    for (const pair of this.#pairs) pair.isFrozen = true
  }

  cut(): void {
    for (const pair of this.#pairs) this.#end(pair)
  }

  async close(): Promise<void> {
    this.cut()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #accept(client: Socket): void {
    this.#accepted += 1
    if (this.mode === 'refuse') {
      client.on('error', () => client.destroy())
      client.destroy()
      return
    }
    const server = this.mode === 'mute' ? undefined : net.connect(this.#targetPort, '127.0.0.1')
    const pair: Pair = { client, server, isFrozen: false }
    this.#pairs.add(pair)
    for (const socket of [client, server]) {
      socket?.setNoDelay()
      // A broken connection ends both halves; what broke it is the test's doing.
      socket?.on('error', () => socket.destroy())
      socket?.on('close', () => pair.isFrozen || this.#end(pair))
    }
    if (server !== undefined) this.#relay({ ...pair, server }, () => pair.isFrozen)
  }

  #relay({ client, server }: Pair & { server: Socket }, isFrozen: () => boolean): void {
    const connection = this.#accepted
    const faults = new Map<number, ReplyFault>()
    let isFirst = true
    const requests = new FrameReader(mostFrameBytes)
    client.on('data', (chunk) => {
      if (isFrozen()) return
      for (const frame of requests.push(chunk)) {
        if (!isFirst) this.#request(connection, frame, faults)
        isFirst = false
        server.write(frame)
      }
    })
    const replies = new FrameReader(mostFrameBytes)
    let isHandshake = true
    server.on('data', (chunk) => {
      if (isFrozen()) return
      for (const frame of replies.push(chunk)) {
        if (isHandshake) this.handshakes.push(frame)
        const fault = isHandshake ? undefined : faults.get(frame.readInt32BE(xidAt))
        isHandshake = false
        if (fault === undefined) client.write(frame)
        else if (!this.#spoil(frame, fault, client)) return
      }
    })
  }

  #request(connection: number, frame: Buffer, faults: Map<number, ReplyFault>): void {
    const type = frame.readInt32BE(typeAt)
    this.requests.push({ connection, type })
    const fault = this.#faults.get(type)
    if (fault === undefined) return
    this.#faults.delete(type)
    faults.set(frame.readInt32BE(xidAt), fault)
  }

  /** @returns whether the connection goes on */
  #spoil(frame: Buffer, fault: ReplyFault, client: Socket): boolean {
    if (typeof fault === 'object') {
      const header = Buffer.from(frame.subarray(0, headerBytes))
      header.writeInt32BE(headerBytes - 4)
      header.writeInt32BE(fault.code, codeAt)
      client.write(header)
      return true
    }
    if (fault === 'cut before') client.destroy()
    else client.write(frame.subarray(0, Math.ceil(frame.length / 2)), () => client.destroy())
    return false
  }

  #end(pair: Pair): void {
    this.#pairs.delete(pair)
    pair.client.destroy()
    pair.server?.destroy()
  }
}

/** Of a request: length 4, xid 4, type 4. Of a reply: length 4, xid 4, zxid 8, code 4. */
const xidAt = 4
const typeAt = 8
const codeAt = 16
const headerBytes = 20
const mostFrameBytes = 64 * 1_048_576

function fail(error: Error): never {
  throw error
}
