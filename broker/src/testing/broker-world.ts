import { authenticate, crc32 } from '@popmq/kit/checksum'
import { assert, present, silentLog } from '@popmq/kit'
import { type CrashMode, MemoryStorage, Scheduler, SeededRandom } from '@popmq/kit/testing'
import {
  brokerOpen,
  brokerSession,
  epoch,
  type Exchange,
  type HandleKey,
  type ServedGroup,
  type TopicInfo,
} from '@popmq/protocol'
import { Caller, loopbackTransport, respond, route, routes, type Reply } from '@popmq/transport'
import { Broker } from '../broker.ts'
import { sampleTopic } from '../core/testing/sample-set.ts'

/** For tests: one broker over the loopback, with a coordinator that says yes, on a virtual clock. */
export class BrokerWorld {
  readonly clock = new Scheduler()
  readonly transport = loopbackTransport(this.clock)
  storage = new MemoryStorage()
  topics: readonly TopicInfo[] = [sampleTopic]
  groups: readonly ServedGroup[] = []
  handleKeys: readonly HandleKey[] = [{ id: 1, key: new Uint8Array(32).fill(7) }]
  #version = 1
  #starts = 0
  /** The version that the broker says it has applied. */
  appliedVersion = 0
  readonly #news = new Set<() => void>()
  segmentBytes = 65_536
  /** Whether the broker told that it leaves. */
  left = false
  broker: Broker | undefined
  caller: Caller | undefined
  /** The last epoch that was given. */
  epoch = 0

  async start(): Promise<Caller> {
    await this.during(this.#listen())
    return this.#begin()
  }

  async #begin(): Promise<Caller> {
    const { storage, transport, clock } = this
    const random = new SeededRandom(1 + this.#starts + 1_000 * this.epoch)
    const ports = { storage, transport, clock, crc32, authenticate, random, log: silentLog }
    const log = { segmentBytes: this.segmentBytes, chunkBytes: 8_192, tailBytes: 8_192 }
    // A broker that crashed never stops listening: the next one is elsewhere.
    this.#starts += 1
    const listen = `broker:${this.#starts}`
    const options = { id: 1, coordinators: ['coordinator:1'], listen, log }
    this.broker = await this.during(Broker.start(ports, options))
    this.caller = await this.during(Caller.connect(transport, listen, { clock, client: 'test' }))
    return this.caller
  }

  /** Calls, and lets virtual time pass until the answer is there. */
  ask<Q extends object, R>(
    exchange: Exchange<Q, R>,
    request: Q,
    slices: Uint8Array[] = [],
  ): Promise<Reply<R>> {
    assert(this.caller !== undefined, 'the world was started')
    return this.during(this.caller.call(exchange, request, { timeoutMs: 60_000, slices }))
  }

  async during<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false
    const settled = Promise.allSettled([promise]).then(([outcome]) => {
      isSettled = true
      return outcome
    })
    await this.clock.runUntil(() => isSettled, this.clock.monotonic() + 120_000)
    const outcome = await settled
    if (outcome.status === 'rejected') throw outcome.reason
    return outcome.value
  }

  /** Tells the broker what the lists are now; resolves once it says that it has applied them. */
  async push(news: {
    topics?: readonly TopicInfo[]
    groups?: readonly ServedGroup[]
  }): Promise<void> {
    this.topics = news.topics ?? this.topics
    this.groups = news.groups ?? this.groups
    this.#version += 1
    for (const tell of this.#news) tell()
    await this.clock.runUntil(
      () => this.appliedVersion === this.#version,
      this.clock.monotonic() + 60_000,
    )
  }

  /** Another process on the same disk: after a crash, or after a stop in good order. */
  async restart(crash?: CrashMode): Promise<void> {
    if (crash === undefined) await this.during(present(this.broker, 'it was started').close())
    else this.storage = this.storage.crash({ mode: crash, random: new SeededRandom(this.epoch) })
    await this.#begin()
  }

  #untilNews(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const tell = (): void => {
        this.#news.delete(tell)
        resolve()
      }
      this.#news.add(tell)
      this.clock.after(withinMs, tell)
    })
  }

  async #listen(): Promise<void> {
    const answers = routes(
      route(brokerOpen, () => {
        this.epoch += 1
        return { reply: { clusterId: 'c', setId: 1, epoch: epoch(this.epoch), sessionMs: 6_000 } }
      }),
      route(brokerSession, async ({ waitMs, leaving, appliedVersion }) => {
        this.left = leaving === true
        this.appliedVersion = appliedVersion
        if (appliedVersion === this.#version && waitMs > 0) await this.#untilNews(waitMs)
        const version = this.#version
        if (version === appliedVersion) return { reply: { version } }
        const { topics, groups, handleKeys } = this
        return { reply: { version, topics, groups, handleKeys } }
      }),
    )
    const { clock } = this
    await this.transport.listen('coordinator:1', (channel) => {
      respond(channel, { role: 'coordinator', clusterId: () => 'c', clock, routes: answers })
    })
  }
}
