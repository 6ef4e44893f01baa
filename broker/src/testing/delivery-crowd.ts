import assert from 'node:assert/strict'
import { sleep } from '@popmq/kit'
import { MemoryStorage, randomLatency, SeededRandom } from '@popmq/kit/testing'
import { isMqError, type SettleResult } from '@popmq/protocol'
import { DeliveryWorld, type Held, policy, servedGroup } from './delivery-world.ts'

interface Delivered {
  readonly at: number
  until: number
  isOpen: boolean
}

/**
 * Consumers that work at once, on a disk that takes its time: they acknowledge, fail, extend, give back, forget, and ask
 * twice. Written down is what they saw, and judged while it happens.
 */
export class DeliveryCrowd {
  readonly world = new DeliveryWorld()
  /** Values that were told to be done. */
  readonly acked = new Set<string>()
  readonly dead = new Set<string>()
  readonly #random: SeededRandom
  readonly #last = new Map<string, Delivered>()
  #isOver = false
  #sent = 0
  deliveries = 0

  constructor(seed: number) {
    this.#random = new SeededRandom(seed)
    const { clock } = this.world
    const schedule = randomLatency(clock, this.#random, { lowMs: 0.1, highMs: 40 })
    this.world.world.storage = new MemoryStorage({ schedule })
  }

  async run(consumers: number, forMs: number): Promise<void> {
    const { world } = this
    const group = servedGroup({ policy: { ...policy, backoff: '50ms,200ms' } })
    await world.start([group])
    const working = Array.from({ length: consumers }, (_, index) => this.#consume(`c${index}`))
    working.push(this.#produce())
    await world.clock.run(forMs)
    this.#isOver = true
    await world.world.during(Promise.all(working))
  }

  /** All that is left is acknowledged. */
  async drain(): Promise<void> {
    for (let round = 0; round < 20; round += 1) {
      const held = await this.world.pop({ consumer: 'last', max: 100 })
      this.#saw(held, 30_000)
      this.#answered(held, await this.world.ack(held))
      await this.world.clock.run(2_000)
    }
  }

  get sent(): number {
    return this.#sent
  }

  async #produce(): Promise<void> {
    while (!this.#isOver) {
      const values = Array.from({ length: 1 + this.#dice(5) }, () => `v${(this.#sent += 1)}`)
      await this.world.sending(values, { partition: this.#dice(2) })
      await sleep(this.world.clock, this.#dice(120))
    }
  }

  async #consume(consumer: string): Promise<void> {
    while (!this.#isOver) {
      const invisibleMs = 20 + this.#dice(300)
      const held = await this.world.popping({
        consumer,
        max: 1 + this.#dice(6),
        waitMs: this.#dice(200),
        invisibleMs,
      })
      this.#saw(held, invisibleMs)
      await sleep(this.world.clock, this.#dice(150))
      await Promise.all([this.#act(held), ...(this.#dice(4) === 0 ? [this.#act(held)] : [])])
    }
  }

  async #act(held: readonly Held[]): Promise<void> {
    if (held.length === 0) return
    const what = this.#dice(10)
    if (what < 5) return this.#settle(held, 'ack')
    if (what < 7) return this.#settle(held, 'nack')
    if (what === 7) return this.#settle(held, 'extend')
    if (what === 8) return this.#settle(held, 'release')
  }

  async #settle(held: readonly Held[], verb: 'ack' | 'nack' | 'extend' | 'release'): Promise<void> {
    if (verb === 'release') for (const { value } of held) this.#end(value)
    if (verb === 'nack') for (const { value } of held) this.#end(value)
    try {
      const more = verb === 'extend' ? { invisibleMs: 500 } : { delayMs: this.#dice(100) }
      const results = await this.world.settling(held, { verb, ...(verb === 'ack' ? {} : more) })
      if (verb !== 'extend') return this.#answered(held, results)
      for (const [index, { value }] of held.entries())
        if (results[index] === 'extended') this.#extended(value)
    } catch (error) {
      assert.ok(isMqError(error, 'broker_busy'), String(error))
    }
  }

  #saw(held: readonly Held[], invisibleMs: number): void {
    const nowMs = this.world.clock.monotonic()
    for (const { value, attempt } of held) {
      this.deliveries += 1
      assert.ok(!this.acked.has(value), `${value} was acknowledged, and is handed out`)
      assert.ok(!this.dead.has(value), `${value} is a dead letter, and is handed out`)
      assert.ok(attempt <= policy.maxAttempts, `${value} is delivered for the ${attempt}th time`)
      const before = this.#last.get(value)
      const isFree = before === undefined || !before.isOpen || before.until <= nowMs
      assert.ok(isFree, `${value} is handed out while another has it`)
      // The lease began when the broker handed it out: not later than now.
      this.#last.set(value, { at: nowMs, until: nowMs + invisibleMs - latencyMs, isOpen: true })
    }
  }

  #answered(held: readonly Held[], results: readonly SettleResult[]): void {
    for (const [index, { value }] of held.entries()) {
      const result = results[index]
      if (result === 'acked') this.acked.add(value)
      if (result === 'dead') this.dead.add(value)
    }
  }

  #extended(value: string): void {
    const last = this.#last.get(value)
    if (last !== undefined) last.until = Math.max(last.until, this.world.clock.monotonic())
  }

  #end(value: string): void {
    const last = this.#last.get(value)
    if (last !== undefined) last.isOpen = false
  }

  #dice(sides: number): number {
    return Math.floor(this.#random.next() * sides)
  }
}

/** Longer than a record takes to be read from disk. */
const latencyMs = 100
