import { assert, present } from '@popmq/kit'
import { MqError } from '@popmq/protocol'
import type { BrokerRecord } from './registry-values.ts'

/**
 * The sessions of brokers, by the monotonic clock of the coordinator that leads. A broker's session is
 *   live        it opened or renewed within `sessionMs`, over a connection that stands
 *   detached    the same, but that connection has closed: a killed broker shows itself so
 *   recovering  known from the registry when this coordinator began to lead; it may still run
 *   ended       none of these
 * open        → live        new epoch; refused while another process holds the id, see `checkOpen`
 * renew       → live        from every state, if the epoch is the newest one
 * disconnect  live → detached
 * leave       → ended       a clean stop
 * time        → ended       `sessionMs` after the last open or renew, or after this coordinator began to lead
 * Until it has ended, routes name the broker and changes of topics wait for it.
 */
export class Brokers {
  readonly #sessionMs: number
  readonly #brokers = new Map<number, Broker>()

  constructor(sessionMs: number) {
    this.#sessionMs = sessionMs
  }

  /** A broker found in the registry when this coordinator began to lead. */
  restore(record: BrokerRecord, nowMs: number): void {
    const endsMs = nowMs + this.#sessionMs
    this.#brokers.set(record.id, {
      record,
      state: 'recovering',
      endsMs,
      appliedVersion: 0,
      connection: undefined,
    })
  }

  /**
   * Refuses a process that would take an id from another one that may run. It is let in when it is the same process,
   * when the session has ended, when its connection has closed, and, after a change of coordinator, when it knows the
   * newest epoch: then it holds the data directory, and with it the lock, of the last one.
   * @throws MqError `broker_id_in_use` with the rest of the session as `retryAfterMs`
   */
  checkOpen({ id, incarnation, highestEpoch }: OpenAsked, nowMs: number): void {
    const broker = this.#brokers.get(id)
    if (broker === undefined || broker.record.incarnation === incarnation) return
    const state = stateAt(broker, nowMs)
    if (state === 'ended' || state === 'detached') return
    if (state === 'recovering' && highestEpoch >= broker.record.epoch) return
    throw new MqError(
      'broker_id_in_use',
      `broker id ${id} is in use by the broker at ${broker.record.address}`,
      {
        retryAfterMs: Math.max(1, Math.ceil(broker.endsMs - nowMs)),
        facts: { brokerId: id },
      },
    )
  }

  opened(record: BrokerRecord, { nowMs, connection }: Contact): void {
    const endsMs = nowMs + this.#sessionMs
    this.#brokers.set(record.id, { record, state: 'live', endsMs, appliedVersion: 0, connection })
  }

  /** @throws MqError `broker_fenced`, `registry_behind` */
  renew({ id, epoch, appliedVersion }: Renewal, { nowMs, connection }: Contact): void {
    this.checkEpoch(id, epoch)
    const broker = present(this.#brokers.get(id), 'a broker whose epoch was checked is known')
    Object.assign(broker, {
      state: 'live',
      endsMs: nowMs + this.#sessionMs,
      appliedVersion,
      connection,
    })
  }

  /** @throws MqError `broker_fenced`, `registry_behind` */
  checkEpoch(id: number, epoch: number): void {
    const newest = this.#brokers.get(id)?.record.epoch ?? 0
    if (epoch < newest)
      throw new MqError(
        'broker_fenced',
        `broker ${id} has epoch ${epoch}, a later one has ${newest}`,
      )
    if (epoch > newest) {
      throw new MqError(
        'registry_behind',
        `broker ${id} has epoch ${epoch}, the registry knows ${newest}`,
      )
    }
  }

  /** A clean stop. */
  leave(id: number): void {
    const broker = this.#brokers.get(id)
    if (broker !== undefined) broker.state = 'ended'
  }

  /** @returns whether a session went over this connection */
  disconnect(connection: number): boolean {
    const detached = [...this.#brokers.values()].filter(
      (broker) => broker.state === 'live' && broker.connection === connection,
    )
    for (const broker of detached) broker.state = 'detached'
    return detached.length > 0
  }

  /** Ends the sessions whose time is over. @returns their brokers */
  expire(nowMs: number): BrokerRecord[] {
    const over = [...this.#brokers.values()].filter(
      (broker) => broker.state !== 'ended' && stateAt(broker, nowMs) === 'ended',
    )
    for (const broker of over) broker.state = 'ended'
    return over.map(({ record }) => record)
  }

  /** When the next session ends if nothing is heard, by the monotonic clock; undefined when there is none. */
  get nextEndMs(): number | undefined {
    let nextMs: number | undefined
    for (const { state, endsMs } of this.#brokers.values()) {
      if (state !== 'ended') nextMs = Math.min(nextMs ?? endsMs, endsMs)
    }
    return nextMs
  }

  record(id: number): BrokerRecord | undefined {
    return this.#brokers.get(id)?.record
  }

  /** Brokers with their state, by id. */
  list(nowMs: number): { readonly record: BrokerRecord; readonly state: BrokerState }[] {
    return [...this.#brokers.values()]
      .map((broker) => ({ record: broker.record, state: stateAt(broker, nowMs) }))
      .toSorted((a, b) => a.record.id - b.record.id)
  }

  /** Brokers whose session has not ended and that have not applied `version`, by id. */
  behind(version: number, nowMs: number): BrokerRecord[] {
    return [...this.#brokers.values()]
      .filter((broker) => stateAt(broker, nowMs) !== 'ended' && broker.appliedVersion < version)
      .map(({ record }) => record)
      .toSorted((a, b) => a.id - b.id)
  }
}

export type BrokerState = 'live' | 'detached' | 'recovering' | 'ended'

export interface OpenAsked {
  readonly id: number
  readonly incarnation: string
  /** The newest epoch that the broker's data directory has seen. */
  readonly highestEpoch: number
}

export interface Renewal {
  readonly id: number
  readonly epoch: number
  readonly appliedVersion: number
}

/** When, by the monotonic clock, and over which connection a broker was heard. */
export interface Contact {
  readonly nowMs: number
  readonly connection: number
}

interface Broker {
  readonly record: BrokerRecord
  state: BrokerState
  endsMs: number
  appliedVersion: number
  connection: number | undefined
}

function stateAt({ state, endsMs }: Broker, nowMs: number): BrokerState {
  assert(Number.isFinite(nowMs), 'time is a finite number of ms')
  return nowMs >= endsMs ? 'ended' : state
}
