import { between, sleep } from '@popmq/kit'
import { crc32 } from '@popmq/kit/checksum'
import type { SeededRandom } from '@popmq/kit/testing'
import {
  groupId,
  isMqError,
  MqError,
  pop,
  type PoppedRun,
  recordKinds,
  RecordView,
  sourceOf,
  topicId,
} from '@popmq/protocol'
import { type DeliveryBook, type Handed, placeName } from '../../delivery-history.ts'
import { partitionName } from '../../history.ts'
import type { Life } from '../../life.ts'
import type { DeliveryPlan } from '../../swarm.ts'
import type { Trace } from '../../trace.ts'
import type { WireClient } from '../wire-client.ts'
import { type Fate, fateOf } from './fate.ts'
import { Settler } from './settler.ts'

export interface PopConsumerParts {
  readonly name: string
  readonly group: number
  /** Another group, for handles that are not its own. */
  readonly otherGroup: number | undefined
  readonly topic: { readonly name: string; readonly id: number }
  readonly client: WireClient
  readonly life: Life
  readonly random: SeededRandom
  readonly plan: DeliveryPlan
  readonly book: DeliveryBook
  readonly trace: Trace
  /** Another consumer of the group that lives. */
  readonly another: () => PopConsumer | undefined
  readonly defect: (what: string) => void
}

/** Who has so many in hand asks for no more. */
const mostInHand = 40

/** One process that pops, from its start until it is told to leave or is killed. */
export class PopConsumer {
  readonly parts: PopConsumerParts
  readonly #settler: Settler
  readonly #inHand = new Set<Promise<void>>()
  #isLeaving = false

  constructor(parts: PopConsumerParts) {
    const { name: consumer, client, book, trace } = parts
    this.parts = parts
    this.#settler = new Settler({ consumer, client, book, trace })
  }

  /** Pops until it is told to leave, and ends what it has in hand. Of a process that is killed it never ends. */
  async work(): Promise<void> {
    const { client, random } = this.parts
    let nodes: readonly string[] = []
    for (let turn = 0; !this.#isLeaving; turn += 1) {
      try {
        if (turn % 8 === 0 || nodes.length === 0) nodes = await this.#nodes()
        const node = nodes[turn % nodes.length]
        if (node !== undefined && this.#inHand.size < mostInHand) await this.#popOnce(node)
        else await sleep(client.parts.clock, 20)
      } catch (error) {
        if (!isMqError(error)) throw error
        nodes = []
        await sleep(client.parts.clock, 30 + random.next() * 200)
      }
    }
    while (this.#inHand.size > 0) await Promise.all(this.#inHand)
  }

  leave(): void {
    this.#isLeaving = true
  }

  /** Acknowledges what another one was handed, who does not wait for it. */
  takeOver(handed: Handed): void {
    this.#track(this.#settler.settle([handed], { verb: 'ack' }))
  }

  /** The brokers that lead partitions of the topic. */
  async #nodes(): Promise<string[]> {
    const { client, topic } = this.parts
    const { topics, sets } = await client.routes()
    const own = topics.find(({ id }) => id === topic.id)?.sets ?? []
    const addresses = sets.flatMap(({ id, address }) => (own.includes(id) ? [address] : []))
    return addresses.filter((address) => address !== '').map((address) => nodeOf(address))
  }

  async #popOnce(node: string): Promise<void> {
    const { client, random, plan, group, name, topic } = this.parts
    const { clock } = client.parts
    const caller = await client.caller(`${node}:7710`)
    const waitMs = between(random, 0, 400)
    const invisibleMs = between(random, 100, plan.invisibleMs)
    const askedMs = clock.monotonic()
    const asked = { group, node, askedMs, answeredMs: Number.POSITIVE_INFINITY }
    this.parts.book.pops.push(asked)
    const { reply, bytes } = await caller.call(
      pop,
      {
        groupId: groupId(group),
        topics: [topicId(topic.id)],
        max: between(random, 1, 8),
        maxBytes: between(random, 200, 10_000),
        waitMs,
        invisibleMs,
        consumer: name,
      },
      { timeoutMs: waitMs + 1_500 },
    )
    asked.answeredMs = clock.monotonic()
    const head = { group, consumer: name, node, invisibleMs, askedMs, atMs: clock.monotonic() }
    const handed = this.#read(reply.runs, bytes, head)
    this.#note(handed)
    this.#begin(handed)
  }

  #note(handed: readonly Handed[]): void {
    const { book, trace, name } = this.parts
    book.handed.push(...handed)
    for (const each of handed)
      trace.event(name, 'handed', placeName(each), each.number, each.attempt)
  }

  /** What the records of a pop are. */
  #read(runs: readonly PoppedRun[], bytes: Uint8Array, head: PopHead): Handed[] {
    const record = new RecordView()
    const decoder = new TextDecoder()
    const handed: Handed[] = []
    let at = 0
    for (const run of runs) {
      const token = Buffer.from(run.lease)
      const own = { lease: token.toString('hex'), generation: token.readUInt32LE(generationAt) }
      const end = at + run.bytes
      for (; at < end; at = record.end) {
        record.move(bytes, at)
        if (!record.fits(end) || !record.crcHolds(crc32)) {
          this.parts.defect(
            `${head.consumer} was handed a record with other bytes than were written`,
          )
          return handed
        }
        const first = record.kind === recordKinds.retry ? sourceOf(record) : record
        if (first === undefined) throw new MqError('corrupt_record', 'a retry has no source')
        const partition = partitionName(first.topicId, first.partition)
        const { attempt } = run
        const value = decoder.decode(record.body)
        const place = { partition, offset: first.offset, number: record.offset }
        handed.push({ ...head, ...own, ...place, value, attempt })
      }
    }
    return handed
  }

  /** Handles messages: those that only want an ack often go together. */
  #begin(handed: readonly Handed[]): void {
    const { random } = this.parts
    const together: Handed[] = []
    const isJoint = random.next() < 0.6
    for (const each of handed) {
      const fate = fateOf(each, between(random, 0, 1))
      if (fate === 'ack' && isJoint) together.push(each)
      else this.#track(this.#handle(each, fate))
    }
    if (together.length > 0) this.#track(this.#ackAll(together))
  }

  #track(work: Promise<void>): void {
    const ended = this.#end(work)
    this.#inHand.add(ended)
    void ended.then(() => this.#inHand.delete(ended))
  }

  /** Never rejects. */
  async #end(work: Promise<void>): Promise<void> {
    try {
      await work
    } catch (error) {
      this.parts.defect(`${this.parts.name} broke: ${String(error)}`)
    }
  }

  async #ackAll(handed: readonly Handed[]): Promise<void> {
    await this.#pass(this.parts.plan.handleMs)
    await this.#settler.settle(handed, { verb: 'ack' })
  }

  async #handle(handed: Handed, fate: Fate): Promise<void> {
    const { random, plan, otherGroup } = this.parts
    if (fate === 'silent') return
    await this.#pass(plan.handleMs)
    if (random.next() < 0.03)
      await this.#settler.tryBad(handed, otherGroup ?? handed.group, otherGroup === undefined)
    switch (fate) {
      case 'ack':
        return this.#settler.settle([handed], { verb: 'ack' })
      case 'late':
        await this.#pass(2 * handed.invisibleMs)
        return this.#settler.settle([handed], { verb: 'ack' })
      case 'extend':
        await this.#settler.settle([handed], {
          verb: 'extend',
          invisibleMs: between(random, 50, 2 * plan.invisibleMs),
        })
        await this.#pass(plan.handleMs)
        return this.#settler.settle([handed], { verb: 'ack' })
      case 'release':
        return this.#settler.settle([handed], { verb: 'release' })
      case 'hand_over':
        return this.#handOver(handed)
      case 'nack': {
        const delayMs = random.next() < 0.2 ? between(random, 0, 800) : undefined
        return this.#settler.settle([handed], { verb: 'nack', delayMs })
      }
      case 'reject':
        return this.#settler.settle([handed], { verb: 'nack', isRetriable: false })
    }
  }

  #handOver(handed: Handed): void {
    const other = this.parts.another() ?? this
    other.takeOver(handed)
  }

  #pass(mostMs: number): Promise<void> {
    const { client, random } = this.parts
    return sleep(client.parts.clock, random.next() * mostMs)
  }
}

/** Where it is in a token: clients know nothing of it, the checkers do. */
const generationAt = 12

type PopHead = Pick<Handed, 'group' | 'consumer' | 'node' | 'invisibleMs' | 'askedMs' | 'atMs'>

/** `broker-1:7710` is the address of node `broker-1`. */
export function nodeOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':'))
}
