import { setTimeout } from 'node:timers/promises'
import { type Client, connect, MqError } from '@popmq/client'
import { type Closable, closeAll } from '@popmq/kit'
import { topicName } from '../measure.ts'
import { sharedMs } from '../monotonic.ts'
import { Participant } from '../participant.ts'
import type { Span } from '../profile.ts'
import { partitions } from '../workload.ts'
import { LastAcked } from './last-acked.ts'
import type { RecoveringServer, ServerStart } from './recovering-server.ts'
import type { Acked, FillGiven } from './sides.ts'

export interface RecoverySettings {
  /** Of values that are in the log before the first stop; one has a million bytes. */
  readonly megabytes: number
  readonly sizeBytes: number
  /** Messages given to the producer at once. */
  readonly batch: number
  /** Starts after a stop in good order, and as many after a kill. */
  readonly runs: number
  /** How long messages are sent before each stop. */
  readonly loadMs: number
}

/** All `…Ms` but `stopMs` count from when the process was started. */
export interface RecoveryStart extends Omit<ServerStart, 'startedMs'> {
  readonly after: 'stop' | 'kill'
  readonly run: number
  /** How long a stop in good order took. */
  readonly stopMs?: number
  /** The first message was acknowledged, acks disk. */
  readonly producedMs: number
  /** Of every partition the last message that had been acknowledged was read. */
  readonly readMs: number
  /** The later of the two. */
  readonly servedMs: number
  readonly partitionsChecked: number
}

const filling = new URL('filling.js', import.meta.url)
/** A call to the process may take ten minutes. */
const bytesPerCall = 1e9

/** Fills a log, then stops and starts the server over it. What was acknowledged last is looked for after each start. */
export class RecoveryRun {
  readonly #server: RecoveringServer
  readonly #settings: RecoverySettings
  readonly #signal: AbortSignal
  readonly #topic = topicName(0)
  readonly #last = new LastAcked()
  readonly #opened: Closable[] = []

  constructor(
    server: RecoveringServer,
    { settings, signal }: { settings: RecoverySettings; signal: AbortSignal },
  ) {
    this.#server = server
    this.#settings = settings
    this.#signal = signal
  }

  /** @throws MqError what the client throws, `connection_lost` when the server ended */
  async fill(): Promise<Span & { readonly messages: number }> {
    const { megabytes, sizeBytes } = this.#settings
    await this.#server.start()
    await using client = await this.#connect()
    await client.admin().createTopic(this.#topic, { partitions })
    const filler = await this.#startFilling()
    const messages = Math.ceil((megabytes * 1e6) / sizeBytes)
    const perCall = Math.ceil(bytesPerCall / sizeBytes)
    const fromMs = sharedMs()
    for (let left = messages; left > 0; left -= perCall) {
      const given = { ...this.#given, messages: Math.min(left, perCall) }
      const acked = await this.#unlessLost(filler.call<Acked>('fill', given))
      this.#last.addAll(acked.last)
    }
    const toMs = sharedMs()
    await filler.close()
    return { fromMs, toMs, messages }
  }

  /** @throws MqError `corrupt_record`, `offset_out_of_range` when an acknowledged message is not there */
  async measure(after: RecoveryStart['after'], run: number): Promise<RecoveryStart> {
    const load = await this.#startFilling()
    await load.call('start', this.#given)
    await this.#unlessLost(setTimeout(this.#settings.loadMs, {}))
    const stopMs = after === 'stop' ? await this.#stop(load) : await this.#kill(load)
    await load.close()
    const { startedMs, ...start } = await this.#server.start()
    const served = await this.#unlessLost(this.#serve(startedMs))
    return { after, run, ...(stopMs === undefined ? {} : { stopMs }), ...start, ...served }
  }

  close(): Promise<void> {
    return closeAll(this.#opened)
  }

  async #stop(load: Participant): Promise<number> {
    const { last } = await this.#unlessLost(load.call<Acked>('finish', {}))
    this.#last.addAll(last)
    return this.#server.stop()
  }

  /** While messages are under way: those that were not acknowledged may be there or not. */
  async #kill(load: Participant): Promise<undefined> {
    await this.#server.kill()
    const { last, messages } = await load.call<Acked>('abandon', {})
    if (messages === 0) throw new MqError('internal', 'nothing was acknowledged before the kill')
    this.#last.addAll(last)
  }

  async #serve(
    startedMs: number,
  ): Promise<Pick<RecoveryStart, 'producedMs' | 'readMs' | 'servedMs' | 'partitionsChecked'>> {
    await using client = await this.#connect()
    const sinceStart = (): number => performance.now() - startedMs
    const places = this.#last.all()
    const produce = async (): Promise<number> => {
      const value = new Uint8Array(this.#settings.sizeBytes)
      const message = { topic: this.#topic, partition: 0, value }
      this.#last.add(await client.producer({ acks: 'disk' }).send(message))
      return sinceStart()
    }
    const read = async (): Promise<number> => {
      for (const { id, ...place } of places) {
        const found = await client.admin().messageAt({ topic: this.#topic, ...place })
        if (found.id === id) continue
        const where = `partition ${place.partition} at offset ${place.offset}`
        throw new MqError('corrupt_record', `${where} has ${found.id}, acknowledged was ${id}`)
      }
      return sinceStart()
    }
    const [producedMs, readMs] = await Promise.all([produce(), read()])
    const servedMs = Math.max(producedMs, readMs)
    return { producedMs, readMs, servedMs, partitionsChecked: places.length }
  }

  get #given(): FillGiven {
    const { batch, sizeBytes } = this.#settings
    return { topic: this.#topic, partitions, batch, sizeBytes }
  }

  #connect(): Promise<Client> {
    return connect(this.#server.servers, { client: 'popmq-bench', signal: this.#signal })
  }

  async #startFilling(): Promise<Participant> {
    const participant = new Participant(filling, { name: 'producer', nodeFlags: [] })
    this.#opened.push(participant)
    await participant.call('connect', { servers: this.#server.servers })
    return participant
  }

  /** Waiting for a server that is gone would only end with a time limit. */
  async #unlessLost<T extends object>(called: Promise<T>): Promise<T> {
    const first = await Promise.race([called, this.#server.lost])
    if (first instanceof MqError) throw first
    return first
  }
}
