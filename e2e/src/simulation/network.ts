import { between, type Clock, type Random } from '@popmq/kit'
import { MqError } from '@popmq/protocol'
import type { Channel, Listener, Transport } from '@popmq/transport'
import { type Life, reach } from './life.ts'
import { SimChannel, type Wire } from './sim-channel.ts'
import type { Trace } from './trace.ts'

export interface NetworkParts {
  readonly clock: Clock
  readonly random: Random
  readonly trace: Trace
}

/** How the network behaves at present; the world changes it as faults come and go. */
export interface NetworkWeather {
  lowMs: number
  highMs: number
  /** Share of messages that take up to `spikeMs`. */
  spikeShare: number
  spikeMs: number
  /** Share of connection attempts that are refused. */
  refuseShare: number
}

export const fairWeather: Readonly<NetworkWeather> = {
  lowMs: 0.2,
  highMs: 2,
  spikeShare: 0,
  spikeMs: 0,
  refuseShare: 0,
}

/** A peer that is silent for this long is given up, as a heartbeat does it. */
export const silenceMs = 8_000
/** How long one waits for a connection to be made. */
const connectMs = 4_000

interface Listening {
  readonly node: string
  readonly life: Life
  readonly onChannel: (channel: Channel) => void
}

/**
 * The network between the nodes of a world. A connection keeps the order of its messages and delivers each at most
 * once, as TCP does; what can go wrong is all around that: delay, silence, a break that loses what was under way or
 * delivers it after the next connection was made, a peer that is not there.
 */
export class SimNetwork {
  readonly weather: NetworkWeather = { ...fairWeather }
  readonly #parts: NetworkParts
  readonly #listeners = new Map<string, Listening>()
  readonly #connections: Connection[] = []
  readonly #cuts = new Set<string>()
  #resets = 0

  constructor(parts: NetworkParts) {
    this.#parts = parts
  }

  /** How many connections were reset on purpose. */
  get resets(): number {
    return this.#resets
  }

  get connections(): number {
    return this.#connections.length
  }

  /** The network as one process of a node sees it. */
  transport(node: string, life: Life): Transport {
    return {
      connect: (address, options = {}) => this.#connect({ node, life }, address, options.signal),
      listen: (address, onChannel) => this.#listen(address, { node, life, onChannel }),
    }
  }

  /** Breaks one connection, if there is any. */
  resetOne(): void {
    const { random, trace } = this.#parts
    const connection = this.#connections[between(random, 0, this.#connections.length - 1)]
    if (connection === undefined) return
    const [near, far] = random.next() < 0.5 ? connection : [connection[1], connection[0]]
    if (random.next() < 0.5) near.loseInFlight()
    if (random.next() < 0.5) far.loseInFlight()
    const lingerMs = random.next() < 0.5 ? 0 : between(random, 1, 2_000)
    trace.event('network', 'reset', near.node, far.node, lingerMs)
    this.#resets += 1
    near.reset('the connection was reset', lingerMs)
  }

  /** Nothing passes between two nodes until `mend`; connections that stay silent too long are given up by both ends. */
  cut(a: string, b: string): void {
    const { clock, random, trace } = this.#parts
    trace.event('network', 'cut', a, b)
    this.#cuts.add(linkName(a, b))
    for (const connection of this.#between(a, b)) {
      for (const end of connection) {
        clock.after(silenceMs + between(random, 0, 2_000), () => {
          if (!this.#isCut(a, b) || !end.isOpen) return
          end.loseInFlight()
          end.reset('the peer is silent', 0)
        })
      }
    }
  }

  mend(a: string, b: string): void {
    if (!this.#cuts.delete(linkName(a, b))) return
    this.#parts.trace.event('network', 'mend', a, b)
    for (const [near, far] of this.#between(a, b)) {
      near.mended()
      far.mended()
    }
  }

  /** All is well from now on. */
  heal(): void {
    Object.assign(this.weather, fairWeather)
    for (const name of [...this.#cuts]) this.mend(...(name.split('|') as [string, string]))
  }

  /** A process is gone, with all its connections. Its peers learn it soon when the machine stays up. */
  nodeGone(node: string, { isPowerCut }: { isPowerCut: boolean }): void {
    const { random } = this.#parts
    for (const [address, listening] of this.#listeners) {
      if (listening.node === node) this.#listeners.delete(address)
    }
    for (const connection of [...this.#connections]) {
      for (const end of connection) {
        if (end.node === node) end.abandon(isPowerCut ? between(random, 0, 3_000) : 0)
      }
    }
  }

  async #connect(
    { node, life }: { node: string; life: Life },
    address: string,
    signal: AbortSignal | undefined,
  ): Promise<Channel> {
    const { clock, random, trace } = this.#parts
    const startedMs = clock.monotonic()
    for (;;) {
      await this.#pass(this.#latencyMs(), life)
      if (signal?.aborted === true)
        throw new MqError('aborted', `connecting to ${address} was aborted`)
      const listening = this.#listeners.get(address)
      const isRefused = random.next() < this.weather.refuseShare
      if (listening === undefined || isRefused) {
        trace.event('network', 'refused', node, address)
        throw new MqError('unreachable', `nothing listens on ${address}`)
      }
      if (!this.#isCut(node, listening.node)) return this.#open({ node, life, address }, listening)
      if (clock.monotonic() - startedMs >= connectMs) {
        throw new MqError('unreachable', `${address} does not answer`)
      }
      await this.#pass(200, life)
    }
  }

  #open(
    { node, life, address }: { node: string; life: Life; address: string },
    listening: Listening,
  ): Channel {
    const { clock, trace } = this.#parts
    const wire: Wire = {
      latencyMs: () => this.#latencyMs(),
      isCut: () => this.#isCut(node, listening.node),
      arrived: (from, to, bytes) => trace.event('network', 'message', from, to, bytes),
    }
    trace.event('network', 'connected', node, listening.node)
    const connection: Connection = SimChannel.pair(
      { clock, wire, node, life, remote: address },
      { clock, wire, node: listening.node, life: listening.life, remote: node },
    )
    this.#connections.push(connection)
    for (const end of connection) end.whenEnded(() => this.#ended(connection))
    reach(listening.life, () => listening.onChannel(connection[1]))
    return connection[0]
  }

  #listen(address: string, listening: Listening): Promise<Listener> {
    if (this.#listeners.has(address)) {
      return Promise.reject(new MqError('port_in_use', `${address} is taken`))
    }
    const own: Channel[] = []
    const { life, node, onChannel } = listening
    const accept = (channel: Channel): void => {
      own.push(channel)
      onChannel(channel)
    }
    this.#listeners.set(address, { life, node, onChannel: accept })
    const close = (): Promise<void> => {
      if (!life.isOver) this.#listeners.delete(address)
      for (const channel of own) channel.close()
      return Promise.resolve()
    }
    return Promise.resolve({ address, close })
  }

  #ended(connection: Connection): void {
    if (connection.some((end) => end.isOpen)) return
    const at = this.#connections.indexOf(connection)
    if (at !== -1) this.#connections.splice(at, 1)
  }

  #between(a: string, b: string): Connection[] {
    const name = linkName(a, b)
    return this.#connections.filter(([near, far]) => linkName(near.node, far.node) === name)
  }

  #isCut(a: string, b: string): boolean {
    return this.#cuts.size > 0 && this.#cuts.has(linkName(a, b))
  }

  #latencyMs(): number {
    const { random } = this.#parts
    const { lowMs, highMs, spikeShare, spikeMs } = this.weather
    const usual = lowMs + random.next() * (highMs - lowMs)
    return spikeShare > 0 && random.next() < spikeShare ? usual + random.next() * spikeMs : usual
  }

  /** Time goes by; for a process that ends meanwhile it never does. */
  #pass(delayMs: number, life: Life): Promise<void> {
    return new Promise((resolve) => {
      this.#parts.clock.after(delayMs, () => reach(life, resolve))
    })
  }
}

type Connection = [near: SimChannel, far: SimChannel]

function linkName(a: string, b: string): string {
  return a < b ? `${a}|${b}` : `${b}|${a}`
}
