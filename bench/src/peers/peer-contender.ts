import { setTimeout } from 'node:timers/promises'
import { MqError } from '@popmq/client'
import { closeAll, present } from '@popmq/kit'
import { Participant } from '../participant.ts'
import type { Consumed, Produced } from '../participants/sides.ts'
import { AckedNumbers } from '../pop/acked-numbers.ts'
import { shareOf } from '../pop/pop-runs.ts'
import type { Popped } from '../pop/sides.ts'
import type { PeerRun } from './clients/peer-client.ts'
import type { Contender, PeersSettings } from './contender.ts'
import type { Peer, PeerUse } from './peer-list.ts'
import type { PeerServer } from './servers/peer-server.ts'
import type { ConnectGiven, PeerPopGiven, ReadGiven, SendGiven } from './sides.ts'

const file = new URL('peer-process.js', import.meta.url)
const fillBatch = 1_000
const lookMs = 50
const stuckMs = 60_000

export interface PeerOpening {
  readonly peer: Peer
  readonly use: PeerUse
  readonly server: PeerServer
  readonly versions: string
}

/** A peer's client in as many processes as PopMQ's has, with a server that is closed by others. */
export async function openPeer(opening: PeerOpening, settings: PeersSettings): Promise<Contender> {
  const { peer, use, server, versions } = opening
  const messages = Math.max(1, Math.round(settings.messages * peer.share))
  const processes = settings.workload === 'pop' ? settings.processes : 1
  const opened: Participant[] = []
  const start = async (role: string): Promise<Participant> => {
    const participant = new Participant(file, { name: `${peer.name} ${role}`, nodeFlags: [] })
    opened.push(participant)
    const given = { client: peer.client, address: server.address }
    await participant.call('connect', given satisfies ConnectGiven)
    return participant
  }
  const takers: Participant[] = []
  try {
    const producer = await start('producer')
    for (let number = 1; number <= processes; number += 1)
      takers.push(await start(`consumer ${number}`))
    const measured = new MeasuredPeer({ ...settings, messages }, use, { producer, takers })
    return {
      name: peer.name,
      acknowledged: use.acknowledged,
      settings: use.settings,
      versions,
      messages,
      lost: server.lost,
      measure: (run) => measured.measure(run),
      close: () => closeAll(opened),
    }
  } catch (error) {
    await closeAll(opened)
    throw error
  }
}

interface Processes {
  readonly producer: Participant
  readonly takers: readonly Participant[]
}

class MeasuredPeer {
  readonly #settings: PeersSettings
  readonly #use: PeerUse
  readonly #producer: Participant
  readonly #takers: readonly Participant[]

  constructor(settings: PeersSettings, use: PeerUse, { producer, takers }: Processes) {
    this.#settings = settings
    this.#use = use
    this.#producer = producer
    this.#takers = takers
  }

  /** What a run stored is removed behind it: the next one begins as this one did. */
  async measure(number: number): Promise<number> {
    const run = { name: `bench-${number}-${Date.now()}`, streams: this.#use.streams }
    await this.#producer.call('create', { run })
    const ms = this.#settings.workload === 'pop' ? await this.#pop(run) : await this.#endToEnd(run)
    await this.#producer.call('remove', { run })
    return ms
  }

  async #endToEnd(run: PeerRun): Promise<number> {
    const { messages, batch, sizeBytes } = this.#settings
    const consumer = present(this.#takers[0], 'a process consumes')
    const { isOrdered } = this.#use
    const reading = { run, messages, sizeBytes, isOrdered } satisfies ReadGiven
    await consumer.call('start', reading)
    const sending = { run, messages, batch, sizeBytes } satisfies SendGiven
    const [{ firstSendMs }, { lastReceiveMs }] = await Promise.all([
      this.#producer.call<Produced>('produce', sending),
      consumer.call<Consumed>('finish', {}),
    ])
    return lastReceiveMs - firstSendMs
  }

  async #pop(run: PeerRun): Promise<number> {
    const { messages, batch, sizeBytes, consumers } = this.#settings
    let firstConsumer = 0
    for (const [index, taker] of this.#takers.entries()) {
      const share = shareOf(consumers, { of: this.#takers.length, index })
      const given = { run, messages, batch, sizeBytes, consumers: share, firstConsumer }
      await taker.call('openPop', given satisfies PeerPopGiven)
      firstConsumer += share
    }
    const filling = { run, messages, batch: fillBatch, sizeBytes }
    await this.#producer.call('produce', filling satisfies SendGiven)
    await Promise.all(this.#takers.map((each) => each.call('startPop', {})))
    await this.#untilAcked()
    const popped = await Promise.all(this.#takers.map((each) => each.call<Popped>('finishPop', {})))
    await this.#check(run, popped)
    const firstMs = Math.min(...popped.map(({ firstPopMs }) => firstPopMs))
    return Math.max(...popped.map(({ lastAckMs }) => lastAckMs)) - firstMs
  }

  async #untilAcked(): Promise<void> {
    const { messages } = this.#settings
    let before = 0
    let grewAt = performance.now()
    for (;;) {
      const asked = this.#takers.map((each) => each.call<{ count: number }>('acked', {}))
      const count = (await Promise.all(asked)).reduce((sum, acked) => sum + acked.count, 0)
      if (count >= messages) return
      if (count > before) grewAt = performance.now()
      else if (performance.now() - grewAt > stuckMs)
        throw new MqError('timed_out', `${count} of ${messages} messages were acked, then no more`)
      before = count
      await setTimeout(lookMs)
    }
  }

  /** Each message was acked once, and the server knows of none that is left. */
  async #check(run: PeerRun, popped: readonly Popped[]): Promise<void> {
    const { messages } = this.#settings
    const acked = new AckedNumbers(messages)
    for (const each of popped) acked.addAll(each.acked)
    if (acked.count !== messages)
      throw new MqError('internal', `${acked.count} of ${messages} messages were acked`)
    const { count } = await this.#producer.call<{ count: number }>('unacked', { run })
    if (count > 0) throw new MqError('internal', `${count} messages were left in the group`)
  }
}
