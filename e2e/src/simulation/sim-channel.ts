import type { Clock } from '@popmq/kit'
import { MqError } from '@popmq/protocol'
import type { Channel, ChannelReceiver } from '@popmq/transport'
import { type Life, reach } from './life.ts'

/** What the network does with the bytes of one direction. */
export interface Wire {
  /** Ms that a message takes now. */
  latencyMs(): number
  /** Nothing passes at present: what is sent waits for the wire to be mended. */
  isCut(): boolean
  /** A message reached its end, for the trace. */
  arrived(from: string, to: string, bytes: number): void
}

/** How long the far end of a connection that broke behind a cut wire believes in it. */
const cutLingerMs = 8_000

export interface SimChannelParts {
  readonly clock: Clock
  readonly wire: Wire
  /** The node, and the process on it, that has this end. */
  readonly node: string
  readonly life: Life
  readonly remote: string
}

/**
 * One end of a simulated connection. States:
 *    open     messages come and go
 *    closing  this end takes and sends nothing any more; the receiver is told by an event of its own
 *    closed   the receiver was told
 * What was sent before the sender closed may arrive after it: the peer learns of the end behind those messages, so an
 * old connection can still speak when its successor is open.
 */
export class SimChannel implements Channel {
  readonly remote: string
  readonly #parts: SimChannelParts
  #peer: SimChannel | undefined
  #receiver: ChannelReceiver | undefined
  #state: 'open' | 'closing' | 'closed' = 'open'
  readonly #arrived: Uint8Array[] = []
  /** Sent while the wire was cut. */
  #held: Uint8Array[] = []
  #bufferedBytes = 0
  #isPaused = false
  /** When the message sent last arrives: later ones are never earlier. */
  #lastArrivalMs = 0
  #onEnd: (() => void) | undefined

  constructor(parts: SimChannelParts) {
    this.#parts = parts
    this.remote = parts.remote
  }

  /** Joins the two ends. `onEnd` is called when both are closed. */
  static pair(ours: SimChannelParts, theirs: SimChannelParts): [SimChannel, SimChannel] {
    const ends: [SimChannel, SimChannel] = [new SimChannel(ours), new SimChannel(theirs)]
    ends[0].#peer = ends[1]
    ends[1].#peer = ends[0]
    return ends
  }

  get node(): string {
    return this.#parts.node
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  get bufferedBytes(): number {
    return this.#state === 'open' ? this.#bufferedBytes : 0
  }

  /** Called once when this end is closed. */
  whenEnded(onEnd: () => void): void {
    this.#onEnd = onEnd
  }

  send(parts: readonly Uint8Array[]): void {
    if (this.#state !== 'open' || this.#parts.life.isOver) return
    const message = joined(parts)
    this.#bufferedBytes += message.length
    if (this.#parts.wire.isCut()) this.#held.push(message)
    else this.#carry(message)
  }

  receive(receiver: ChannelReceiver): void {
    this.#receiver = receiver
    this.#deliverSoon()
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    this.#deliverSoon()
  }

  close(reason?: MqError): void {
    if (this.#state !== 'open' || this.#parts.life.isOver) return
    const why = reason === undefined ? 'closed' : `closed: ${reason.name}`
    this.#hangUpPeer(`the peer ${why}`, 0)
    this.#end(reason)
  }

  /** The wire is mended: what waited goes on its way. */
  mended(): void {
    const held = this.#held
    this.#held = []
    if (this.#state === 'open') for (const message of held) this.#carry(message)
  }

  /**
   * The connection breaks here at once. What this end sent is lost, or arrives up to `lingerMs` later; only then does
   * the other end learn of the break.
   */
  reset(what: string, lingerMs: number): void {
    if (this.#state !== 'open') return
    this.#hangUpPeer(what, lingerMs)
    this.#end(new MqError('connection_lost', what))
  }

  /** The process that has this end is gone: it is told nothing. */
  abandon(lingerMs: number): void {
    if (this.#state !== 'open') return
    this.#hangUpPeer('the peer is gone', lingerMs)
    this.#state = 'closed'
    this.#onEnd?.()
  }

  /** What is on its way to the peer will not arrive. */
  loseInFlight(): void {
    this.#peer?.forget()
    this.#held = []
  }

  /** Messages under way to this end are numbered by the generation in which they were sent. */
  #generation = 0

  forget(): void {
    this.#generation += 1
    this.#arrived.length = 0
  }

  #carry(message: Uint8Array): void {
    const { clock, wire, node } = this.#parts
    const peer = this.#peer
    if (peer === undefined) return
    const generation = peer.#generation
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, clock.monotonic() + wire.latencyMs())
    clock.after(this.#lastArrivalMs - clock.monotonic(), () => {
      if (peer.#generation !== generation || peer.#state !== 'open') return
      if (peer.#parts.life.isOver) return
      wire.arrived(node, peer.node, message.length)
      peer.#arrived.push(message)
      peer.#deliver()
    })
  }

  #hangUpPeer(what: string, lingerMs: number): void {
    const { clock, wire } = this.#parts
    const peer = this.#peer
    if (peer === undefined) return
    // Over a cut wire the end of the connection cannot be told: the peer notices the silence.
    const silentMs = wire.isCut() ? cutLingerMs : 0
    const arrivalMs = Math.max(this.#lastArrivalMs - clock.monotonic(), wire.latencyMs())
    const delayMs = arrivalMs + lingerMs + silentMs
    clock.after(delayMs, () => {
      reach(peer.#parts.life, () => {
        if (peer.#state !== 'open') return
        peer.#deliver()
        peer.#end(new MqError('connection_lost', what))
      })
    })
  }

  #deliverSoon(): void {
    this.#parts.clock.after(0, () => this.#deliver())
  }

  #deliver(): void {
    const { life } = this.#parts
    if (life.held !== undefined) return reach(life, () => this.#deliver())
    while (this.#state === 'open' && !this.#isPaused && this.#receiver !== undefined) {
      if (life.isOver) return
      const message = this.#arrived.shift()
      if (message === undefined) return
      this.#receiver.message(message)
      this.#peer?.taken(message.length)
    }
  }

  /** The peer took a message of this end. */
  taken(bytes: number): void {
    if (this.#state !== 'open' || this.#parts.life.isOver) return
    this.#bufferedBytes -= bytes
    if (this.#bufferedBytes === 0) reach(this.#parts.life, () => this.#receiver?.drained())
  }

  #end(reason: MqError | undefined): void {
    this.#state = 'closing'
    this.#onEnd?.()
    this.#parts.clock.after(0, () => {
      this.#state = 'closed'
      reach(this.#parts.life, () => this.#receiver?.closed(reason))
    })
  }
}

/** Copied, as a network does: neither end sees the other's memory. */
function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}
