import { MemoryRegistry, type Registry, type RegistrySession } from '@popmq/coordinator'
import { between, type Clock, type Random } from '@popmq/kit'
import { MqError } from '@popmq/protocol'
import { type Life, reach } from './life.ts'
import { type RegistryWire, SimRegistrySession } from './sim-registry-session.ts'
import type { Trace } from './trace.ts'

/** How the way to the registry behaves at present. */
export interface RegistryWeather {
  lowMs: number
  highMs: number
  /** Shares of commits that are carried out without an answer, that get lost, and that are done after `unknown` was said. */
  unansweredShare: number
  droppedShare: number
  lateShare: number
  /** Watches come up to so much later, and this share of them twice. */
  watchLateMs: number
  watchTwiceShare: number
}

export const fairRegistry: Readonly<RegistryWeather> = {
  lowMs: 0.3,
  highMs: 4,
  unansweredShare: 0,
  droppedShare: 0,
  lateShare: 0,
  watchLateMs: 0,
  watchTwiceShare: 0,
}

/** The registry ends a session of which it heard nothing for so long; its process gives it up earlier. */
const sessionMs = 3_000
const giveUpMs = 2_000

/** One session, with the process that has it. */
interface Held {
  readonly node: string
  readonly life: Life
  readonly inner: RegistrySession
  readonly lost: (reason: Error) => void
  /** Its user was told, or has closed it. */
  isTold: boolean
}

export interface SimRegistryParts {
  readonly clock: Clock
  readonly random: Random
  readonly trace: Trace
}

/**
 * A registry that is a service of its own: it outlives the coordinators, and between them and it lies a network. A session
 *   open → lost     it expired, or its process heard nothing for too long: told at once, or late
 *   open → closed   by its user
 */
export class SimRegistry {
  readonly weather: RegistryWeather = { ...fairRegistry }
  readonly #parts: SimRegistryParts
  readonly #memory = new MemoryRegistry()
  readonly #cuts = new Set<string>()
  #held: Held[] = []
  #faults = 0

  constructor(parts: SimRegistryParts) {
    this.#parts = parts
  }

  /** Faults so far. */
  get faults(): number {
    return this.#faults
  }

  /** The registry as one process of a node sees it. */
  reachedFrom(node: string, life: Life): Registry {
    return {
      openSession: (lost) => this.#open(node, life, lost),
      close: () => Promise.resolve(),
    }
  }

  /** The weather is bad: what fails from now on has a cause. */
  worsen(bad: Partial<RegistryWeather>): void {
    this.#faults += 1
    Object.assign(this.weather, bad)
  }

  /** The sessions of a node expire, and their process hears of it up to `lateMs` later. */
  expire(node: string, lateMs: number): void {
    this.#faults += 1
    for (const held of this.#of(node)) this.#end(held, lateMs)
  }

  /** A process is gone: the registry ends its sessions after a while. */
  processGone(node: string): void {
    const { clock, random } = this.#parts
    const gone = this.#of(node)
    clock.after(between(random, 10, sessionMs), () => {
      for (const held of gone) this.#end(held, 0)
    })
  }

  /** A process that is silent for longer than a session has none any more, whenever it hears of it. */
  processPaused(node: string): void {
    this.#faults += 1
    this.#parts.clock.after(sessionMs, () => {
      for (const held of this.#of(node)) if (held.life.held !== undefined) this.#end(held, 0)
    })
  }

  /** Nothing passes between a node and the registry until `mend`. */
  cut(node: string): void {
    const { clock, trace } = this.#parts
    this.#faults += 1
    trace.event('registry', 'cut', node)
    this.#cuts.add(node)
    const standing = this.#of(node)
    clock.after(giveUpMs, () => {
      if (this.#cuts.has(node)) for (const held of standing) this.#tell(held)
    })
    clock.after(sessionMs, () => {
      for (const held of standing) if (held.isTold) this.#end(held, 0)
    })
  }

  mend(node: string): void {
    if (this.#cuts.delete(node)) this.#parts.trace.event('registry', 'mend', node)
  }

  heal(): void {
    Object.assign(this.weather, fairRegistry)
    for (const node of [...this.#cuts]) this.mend(node)
  }

  async #open(node: string, life: Life, lost: Held['lost']): Promise<RegistrySession> {
    const wire = this.#wire(node, life)
    await wire.pass()
    if (this.#cuts.has(node)) {
      await wire.pass(giveUpMs)
      throw new MqError('registry_unavailable', 'the registry does not answer')
    }
    const inner = await this.#memory.openSession(() => undefined)
    const held: Held = { node, life, inner, lost, isTold: false }
    this.#held.push(held)
    const closed = (): void => {
      held.isTold = true
      // Where it could not be told, the registry ends the session by itself.
      this.#parts.clock.after(sessionMs, () => this.#end(held, 0))
    }
    return new SimRegistrySession(inner, wire, closed)
  }

  #wire(node: string, life: Life): RegistryWire {
    const { clock, random, trace } = this.#parts
    const { weather } = this
    const latencyMs = (): number => weather.lowMs + random.next() * (weather.highMs - weather.lowMs)
    const after = (delayMs: number, run: () => void): void => {
      clock.after(delayMs, () => reach(life, run))
    }
    return {
      clock,
      random,
      weather,
      latencyMs,
      isCut: () => this.#cuts.has(node),
      after,
      pass: (delayMs) => new Promise((resolve) => after(delayMs ?? latencyMs(), resolve)),
      event: (kind, ...facts) => trace.event('registry', kind, node, ...facts),
    }
  }

  #of(node: string): Held[] {
    return this.#held.filter((held) => held.node === node)
  }

  #end(held: Held, lateMs: number): void {
    const { clock, trace } = this.#parts
    if (!this.#held.includes(held)) return
    this.#held = this.#held.filter((each) => each !== held)
    trace.event('registry', 'session_ends', held.node)
    void this.#memory.expire(held.inner)
    clock.after(lateMs, () => this.#tell(held))
  }

  #tell(held: Held): void {
    reach(held.life, () => {
      if (held.isTold) return
      held.isTold = true
      held.lost(new MqError('registry_unavailable', 'the session with the registry has expired'))
    })
  }
}
