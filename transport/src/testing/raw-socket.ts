import { connect, type Socket } from 'node:net'
import { parseAddress } from '../address.ts'
import { webSocketPath } from '../websocket-bounds.ts'

/** A TCP connection on which a test writes whatever it likes. */
export class RawSocket {
  readonly socket: Socket
  #received = Buffer.alloc(0)
  #isClosed = false
  #wake: () => void = () => undefined

  private constructor(socket: Socket) {
    this.socket = socket
    const note = (change: () => void) => (): void => {
      change()
      this.#wake()
    }
    socket.on('data', (chunk: Buffer) =>
      note(() => (this.#received = Buffer.concat([this.#received, chunk])))(),
    )
    socket.on(
      'close',
      note(() => (this.#isClosed = true)),
    )
    // A refused peer may see a reset: 'close' follows.
    socket.on('error', () => undefined)
    socket.on('end', () => socket.end())
  }

  static async open(address: string): Promise<RawSocket> {
    const socket = connect(parseAddress(address))
    await new Promise((resolve) => socket.once('connect', resolve))
    socket.setNoDelay(true)
    return new RawSocket(socket)
  }

  /** Opens a WebSocket by hand. */
  static async upgraded(address: string, headers: readonly string[] = []): Promise<RawSocket> {
    const raw = await RawSocket.open(address)
    raw.write(upgradeRequest(`Host: ${address}`, ...headers))
    await raw.until((bytes) => bytes.includes('\r\n\r\n'))
    raw.take()
    return raw
  }

  write(bytes: string | Uint8Array): void {
    this.socket.write(bytes)
  }

  /** Waits until what has come satisfies `holds`, or nothing more can come. */
  async until(holds: (received: Buffer) => boolean): Promise<Buffer> {
    while (!holds(this.#received) && !this.#isClosed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this.#received
  }

  /** All that comes until the peer closes. */
  untilClosed(): Promise<Buffer> {
    return this.until(() => false)
  }

  /** What has come so far; it is forgotten. */
  take(): Buffer {
    const taken = this.#received
    this.#received = Buffer.alloc(0)
    return taken
  }
}

export function upgradeRequest(...headers: readonly string[]): string {
  const fixed = [
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
  ]
  return [`GET ${webSocketPath} HTTP/1.1`, ...fixed, ...headers, '', ''].join('\r\n')
}

/** A client's WebSocket frame with a zero mask; `first` is its first byte: FIN 0x80, RSV 0x70, opcode 0x0f. */
export function clientFrame(first: number, payload: Uint8Array = Buffer.of()): Buffer {
  const { length } = payload
  const extended = length < 126 ? Buffer.of() : Buffer.of(length >> 8, length & 0xff)
  const lengthBits = length < 126 ? length : 126
  return Buffer.concat([Buffer.of(first, 0x80 | lengthBits), extended, Buffer.alloc(4), payload])
}

/** The status code of the close frame that a server sent last, or undefined. */
export function closeCodeOf(received: Buffer): number | undefined {
  for (let at = 0; at + 2 <= received.length;) {
    const length = (received[at + 1] ?? 0) & 0x7f
    const head = length === 126 ? 4 : 2
    const bytes = length === 126 ? received.readUInt16BE(at + 2) : length
    if (received[at] === 0x88) return bytes < 2 ? undefined : received.readUInt16BE(at + head)
    at += head + bytes
  }
  return undefined
}
