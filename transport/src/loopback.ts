import type { Clock } from '@popmq/kit'
import { MqError } from '@popmq/protocol'
import type { Channel, ChannelReceiver, Listener, Transport } from './channel.ts'

/**
 * A transport inside one process, for tests: what is sent arrives by an event of the clock, never inside `send`. Each
 * message is copied, so neither end can see the other's memory.
 */
export function loopbackTransport(clock: Clock): Transport {
  const listeners = new Map<string, LoopbackListener>()
  let opened = 0
  return {
    async connect(address, { signal } = {}) {
      await new Promise<void>((resolve) => clock.after(0, resolve))
      if (signal?.aborted === true)
        throw new MqError('aborted', `connecting to ${address} was aborted`)
      const listener = listeners.get(address)
      if (listener === undefined) throw new MqError('unreachable', `nothing listens on ${address}`)
      opened += 1
      const [ours, theirs] = channelPair(clock, { ours: `loopback:${opened}`, theirs: address })
      listener.accept(theirs)
      return ours
    },
    listen(address, onChannel) {
      const bound = address.endsWith(':0')
        ? address.replace(/0$/, String(freePort(listeners, address)))
        : address
      if (listeners.has(bound))
        return Promise.reject(new MqError('port_in_use', `${bound} is taken`))
      const listener = new LoopbackListener(bound, onChannel, () => void listeners.delete(bound))
      listeners.set(bound, listener)
      return Promise.resolve(listener)
    },
  }
}

/** Two ends of one channel. Names are what the other end sees as `remote`. */
export function channelPair(
  clock: Clock,
  names = { ours: 'ours', theirs: 'theirs' },
): [Channel, Channel] {
  const ours = new LoopbackChannel(clock, names.theirs)
  const theirs = new LoopbackChannel(clock, names.ours)
  ours.join(theirs)
  theirs.join(ours)
  return [ours, theirs]
}

function freePort(listeners: ReadonlyMap<string, unknown>, address: string): number {
  let port = 40_000
  while (listeners.has(address.replace(/0$/, String(port)))) port += 1
  return port
}

class LoopbackListener implements Listener {
  readonly address: string
  readonly #onChannel: (channel: Channel) => void
  readonly #forget: () => void
  readonly #channels = new Set<Channel>()

  constructor(address: string, onChannel: (channel: Channel) => void, forget: () => void) {
    this.address = address
    this.#onChannel = onChannel
    this.#forget = forget
  }

  accept(channel: Channel): void {
    this.#channels.add(channel)
    this.#onChannel(channel)
  }

  close(): Promise<void> {
    this.#forget()
    for (const channel of this.#channels) channel.close()
    return Promise.resolve()
  }
}

class LoopbackChannel implements Channel {
  readonly remote: string
  readonly #clock: Clock
  readonly #arrived: Uint8Array[] = []
  #peer: LoopbackChannel | undefined
  #receiver: ChannelReceiver | undefined
  #arrivedBytes = 0
  #isPaused = false
  #isScheduled = false
  #state: 'open' | 'closing' | 'closed' = 'open'
  #reason: MqError | undefined

  constructor(clock: Clock, remote: string) {
    this.#clock = clock
    this.remote = remote
  }

  join(peer: LoopbackChannel): void {
    this.#peer = peer
  }

  get bufferedBytes(): number {
    return this.#peer?.waitingBytes ?? 0
  }

  get waitingBytes(): number {
    return this.#state === 'open' ? this.#arrivedBytes : 0
  }

  send(parts: readonly Uint8Array[]): void {
    if (this.#state === 'open') this.#peer?.arrive(Buffer.concat(parts))
  }

  receive(receiver: ChannelReceiver): void {
    this.#receiver = receiver
    this.#schedule()
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    this.#schedule()
  }

  close(reason?: MqError): void {
    if (this.#state !== 'open') return
    this.#end(reason)
    const why = reason === undefined ? 'closed' : `closed: ${reason.name}`
    this.#clock.after(0, () =>
      this.#peer?.hangUp(new MqError('connection_lost', `the peer ${why}`)),
    )
  }

  /** Takes a message from the peer. */
  arrive(message: Uint8Array): void {
    if (this.#state !== 'open') return
    this.#arrived.push(message)
    this.#arrivedBytes += message.length
    this.#schedule()
  }

  /** The peer has closed: what it sent before still arrives first. */
  hangUp(reason: MqError): void {
    if (this.#state !== 'open') return
    this.#deliver()
    this.#end(reason)
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#clock.after(0, () => {
      this.#isScheduled = false
      this.#deliver()
    })
  }

  #deliver(): void {
    const hadSome = this.#arrived.length > 0
    while (this.#state === 'open' && !this.#isPaused && this.#receiver !== undefined) {
      const message = this.#arrived.shift()
      if (message === undefined) break
      this.#arrivedBytes -= message.length
      this.#receiver.message(message)
    }
    if (hadSome && this.#arrivedBytes === 0) this.#peer?.taken()
  }

  /** The peer has taken all that was sent. */
  taken(): void {
    if (this.#state === 'open') this.#receiver?.drained()
  }

  #end(reason: MqError | undefined): void {
    this.#state = 'closing'
    this.#reason = reason
    this.#arrived.length = 0
    this.#arrivedBytes = 0
    this.#clock.after(0, () => {
      this.#state = 'closed'
      this.#receiver?.closed(this.#reason)
    })
  }
}
