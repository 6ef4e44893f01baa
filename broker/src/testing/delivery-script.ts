import assert from 'node:assert/strict'
import type { MemoryStorage } from '@popmq/kit/testing'
import {
  deadChange,
  inflightRelease,
  type Offset,
  offset,
  partitionNumber,
  produce,
  purge,
  type RequestOf,
  retryChange,
  topicId,
} from '@popmq/protocol'
import { sampleRun } from '../core/testing/sample-run.ts'
import { DeliveryWorld, type Held, popGroup, servedGroup } from './delivery-world.ts'

/** What was promised of messages, by value; or is about to be, when it is only tried. */
export interface Promised {
  readonly to: 'sent' | 'acked' | 'retrying' | 'dead' | 'anew' | 'gone'
  readonly values: readonly string[]
  readonly isTried: boolean
}

type Note = (promised: Promised) => void
const topic = topicId(1)

/** A run of deliveries that meets every kind of record. It tells what it tries, and what it was promised. */
export class DeliveryScript {
  readonly world = new DeliveryWorld()
  readonly #note: Note

  constructor(storage: MemoryStorage, note: Note) {
    this.world.world.storage = storage
    this.#note = note
  }

  async run(): Promise<void> {
    const { world } = this
    await world.start()
    await this.#send(['a0', 'a1', 'a2', 'a3', 'a4', 'a5'])
    const [a0, a1, a2] = await this.#pop(3)
    await this.#ack([a0])
    await this.#nack([a1], 1_000)
    await world.settle(present(a2), { verb: 'release' })
    const [, a3] = await this.#pop(2)
    await world.settle(present(a3), { verb: 'extend', invisibleMs: 60_000 })
    await this.#ack([a3])
    await world.clock.run(1_000)
    await this.#ack((await this.#pop(1)).filter(({ isRetry }) => isRetry))
    await this.#thrice()
    await this.#send(['b0', 'b1'], 1)
    const dying = (await this.#pop(10)).slice(0, 2)
    await this.#die(dying)
    await this.#discard()
    await this.#delayed()
    await this.#reset()
    const again = await this.#pop(2)
    await this.#ack(again.slice(0, 1))
    await this.#nack(again.slice(1), 20_000)
    await this.#operators()
    await this.#purge()
    await this.#ack(await this.#pop(10))
  }

  async #send(values: readonly string[], partition = 0): Promise<void> {
    await this.#promised('sent', values, this.world.send(values, { partition }))
  }

  #pop(max: number): Promise<Held[]> {
    return this.world.pop({ max })
  }

  async #ack(held: readonly (Held | undefined)[]): Promise<void> {
    await this.#promised('acked', valuesOf(present(...held)), this.world.ack(present(...held)))
  }

  async #nack(held: readonly (Held | undefined)[], delayMs: number): Promise<void> {
    const all = present(...held)
    await this.#promised('retrying', valuesOf(all), this.world.nack(all, { delayMs }))
  }

  async #die(held: readonly Held[]): Promise<void> {
    const nacked = this.world.nack(held, { retriable: false, error: { message: 'no' } })
    await this.#promised('dead', valuesOf(held), nacked)
  }

  /** A lease that ends three times: then the message is moved. */
  async #thrice(): Promise<void> {
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      await this.world.pop({ max: 1, invisibleMs: 500 })
      await this.world.clock.run(500)
    }
  }

  async #discard(): Promise<void> {
    const request = { groupId: popGroup, letters: [offset(0)], to: 'discarded' as const }
    await this.world.world.ask(deadChange, request)
  }

  async #delayed(): Promise<void> {
    const sections = (): { delayMs: number } => ({ delayMs: 2_000 })
    const bytes = sampleRun({ kind: 'delayed', values: ['late'], partition: 1, sections })
    const run = { topicId: topic, partition: 1, bytes: bytes.length, count: 1 }
    const request = { acks: 'disk', runs: [run] } as unknown as RequestOf<typeof produce>
    await this.#promised('sent', ['late'], this.world.world.ask(produce, request, [bytes]))
    await this.world.clock.run(2_000)
  }

  async #reset(): Promise<void> {
    const offsets = [{ partition: partitionNumber(0), offset: offset(2), generation: 1 }]
    const reset = { generation: 1, offsets }
    const values = ['a2', 'a3', 'a4', 'a5']
    await this.#promised(
      'anew',
      values,
      this.world.world.push({ groups: [servedGroup({ topic: { reset } })] }),
    )
  }

  async #operators(): Promise<void> {
    const { world } = this
    const numbers = [...world.set.viewSet.delivery.retries.of(popGroup)].map(({ number }) => number)
    await world.world.ask(retryChange, { groupId: popGroup, numbers, to: 'now' })
    const messages = (await this.#pop(1)).map(({ partition, offset: at, number, isRetry }) => ({
      topicId: topic,
      partition: partitionNumber(partition),
      offset: offset(at),
      ...(isRetry ? { number } : {}),
    }))
    await world.world.ask(inflightRelease, { groupId: popGroup, messages })
  }

  async #purge(): Promise<void> {
    const request = { topicId: topic, partition: partitionNumber(1), before: 1 as Offset }
    await this.#promised('gone', ['b0'], this.world.world.ask(purge, request))
  }

  async #promised(
    to: Promised['to'],
    values: readonly string[],
    doing: Promise<unknown>,
  ): Promise<void> {
    this.#note({ to, values, isTried: true })
    const results = await doing
    const isExpected = (result: unknown): boolean => result === to
    if (Array.isArray(results))
      assert.ok(results.length > 0 && results.every(isExpected), String(results))
    this.#note({ to, values, isTried: false })
  }
}

function present(...held: readonly (Held | undefined)[]): Held[] {
  return held.flatMap((each) => each ?? [])
}

function valuesOf(held: readonly Held[]): string[] {
  return held.map(({ value }) => value)
}
