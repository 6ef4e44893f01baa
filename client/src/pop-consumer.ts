import { Backoff, sleep } from '@popmq/kit'
import { isMqError, limits, type PopReason, type SettleVerb } from '@popmq/protocol'
import { throwIfAborted } from './aborting.ts'
import type {
  ExtendOptions,
  Handle,
  Handles,
  NackOptions,
  PopConsumer,
} from './api/pop-consumer.ts'
import type { PoppedMessage, PopReceiveOptions, Settled } from './api/pop-consumer.ts'
import type { SettleOptions } from './api/pop-consumer.ts'
import { named } from './core/leased-message.ts'
import { toldFailure } from './core/told-failure.ts'
import { withDefaults } from './options.ts'
import { popCall, type PopConsumerConfig, popRanges } from './pop-consumer-config.ts'
import { PopGroup, type PopGroupDeps } from './pop-group.ts'
import { Popping, type PoppingDeps } from './popping.ts'
import { closed } from './reading.ts'
import { type SettleCall, Settler, type SettlerDeps } from './settler.ts'

export type PopConsumerDeps = Omit<PoppingDeps & PopGroupDeps & SettlerDeps, 'group' | 'settler'>

const loopPause = { firstMs: 100, mostMs: 5_000 }

/** What a user holds who pops and settles by hand. */
export class LeasingConsumer implements PopConsumer {
  readonly #config: PopConsumerConfig
  readonly #deps: PopConsumerDeps
  readonly #onClosed: () => void
  readonly #group: PopGroup
  readonly #settler: Settler
  readonly #popping: Popping
  readonly #closing = new AbortController()
  #closed: Promise<void> | undefined

  constructor(config: PopConsumerConfig, deps: PopConsumerDeps, onClosed: () => void) {
    this.#config = config
    this.#deps = deps
    this.#onClosed = onClosed
    this.#group = new PopGroup(config, deps)
    this.#settler = new Settler({ ...deps, group: this.#group })
    this.#popping = new Popping(config, { ...deps, group: this.#group, settler: this.#settler })
  }

  get lastReason(): PopReason | undefined {
    return this.#popping.lastReason
  }

  [Symbol.asyncIterator](): AsyncIterator<readonly PoppedMessage[], undefined> {
    return this.#batches()
  }

  // Async: what is wrong with the options rejects, as everything else does.
  async receive(options: PopReceiveOptions = {}): Promise<readonly PoppedMessage[]> {
    return this.#popping.receive(popCall(options, this.#config))
  }

  async ack(handles: Handles, options: SettleOptions = {}): Promise<Settled[]> {
    return this.#settle('ack', handles, withDefaults('ack', options, settleOptions))
  }

  async nack(handles: Handles, options: NackOptions = {}): Promise<Settled[]> {
    const given = withDefaults('nack', options, nackOptions)
    const { delayMs, retriable } = given
    const error = toldFailure(given.error)
    return this.#settle('nack', handles, {
      signal: given.signal,
      details: {
        ...(error === undefined ? {} : { error }),
        ...(delayMs === undefined ? {} : { delayMs }),
        ...(retriable === undefined ? {} : { retriable }),
      },
    })
  }

  async extend(handles: Handles, options: ExtendOptions = {}): Promise<Settled[]> {
    const given = withDefaults('extend', options, extendOptions)
    const invisibleMs = given.invisibleMs ?? this.#config.invisibleMs
    const details = invisibleMs === undefined ? {} : { invisibleMs }
    return this.#settle('extend', handles, { signal: given.signal, details })
  }

  async release(handles: Handles, options: SettleOptions = {}): Promise<Settled[]> {
    return this.#settle('release', handles, withDefaults('release', options, settleOptions))
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #settle(
    verb: SettleVerb,
    given: Handles,
    { details, signal }: Pick<SettleCall, 'details' | 'signal'>,
  ): Promise<Settled[]> {
    if (this.#closed !== undefined) throw closed()
    throwIfAborted(signal)
    const all: readonly Handle[] = isMany(given) ? given : [given]
    const handles = all.map(named)
    if (handles.length === 0) return []
    const leasesEndAt = this.#leasesEndAt(all)
    const call = { verb, handles, signal, leasesEndAt, withinMs: this.#config.settleWithinMs }
    return this.#settler.settle(details === undefined ? call : { ...call, details })
  }

  /** When the first lease is over of those messages that say, on the monotonic clock. */
  #leasesEndAt(all: readonly Handle[]): number {
    const { clock } = this.#deps
    const leftMs = clock.monotonic() - clock.now()
    return all.reduce((earliest: number, each) => {
      const until =
        typeof each === 'string' ? undefined : (each as Partial<PoppedMessage>).leasedUntil
      return until === undefined ? earliest : Math.min(earliest, until + leftMs)
    }, Number.POSITIVE_INFINITY)
  }

  async *#batches(): AsyncGenerator<readonly PoppedMessage[], undefined> {
    const backoff = new Backoff(this.#deps.random, loopPause)
    while (this.#closed === undefined) {
      let messages: readonly PoppedMessage[] = []
      try {
        messages = await this.receive()
        backoff.reset()
      } catch (error) {
        if (isMqError(error, 'closed') && this.#closed !== undefined) return undefined
        if (!isMqError(error) || error.retriable === 'no') throw error
        await sleep(this.#deps.clock, backoff.nextMs(), this.#closing.signal)
      }
      if (messages.length > 0) yield messages
    }
    return undefined
  }

  async #close(): Promise<void> {
    this.#closing.abort()
    await this.#popping.stop()
    await this.#settler.idle()
    this.#group.close()
    this.#onClosed()
  }
}

interface SettleDetails {
  readonly signal: AbortSignal | undefined
}
interface NackDetails extends SettleDetails {
  readonly error: unknown
  readonly delayMs: number | undefined
  readonly retriable: boolean | undefined
}
interface ExtendDetails extends SettleDetails {
  readonly invisibleMs: number | undefined
}

const settleDefaults: SettleDetails = { signal: undefined }
const settleOptions = { defaults: settleDefaults, ranges: {} }
const nackDefaults: NackDetails = {
  ...{ signal: undefined, error: undefined },
  ...{ delayMs: undefined, retriable: undefined },
}
const nackOptions = { defaults: nackDefaults, ranges: { delayMs: [0, limits.delayMs] as const } }
const extendDefaults: ExtendDetails = { signal: undefined, invisibleMs: undefined }
const extendOptions = {
  defaults: extendDefaults,
  ranges: { invisibleMs: popRanges.invisibleMs },
}

function isMany(handles: Handles): handles is readonly Handle[] {
  return Array.isArray(handles)
}
