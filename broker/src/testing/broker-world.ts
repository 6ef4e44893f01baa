import { crc32 } from '@popmq/kit/checksum'
import { assert, silentLog } from '@popmq/kit'
import { MemoryStorage, Scheduler, SeededRandom } from '@popmq/kit/testing'
import { brokerOpen, brokerSession, epoch, type Exchange, type TopicInfo } from '@popmq/protocol'
import { Caller, loopbackTransport, respond, route, routes, type Reply } from '@popmq/transport'
import { Broker } from '../broker.ts'
import { sampleTopic } from '../core/testing/sample-set.ts'

/** For tests: one broker over the loopback, with a coordinator that says yes, on a virtual clock. */
export class BrokerWorld {
  readonly clock = new Scheduler()
  readonly transport = loopbackTransport(this.clock)
  storage = new MemoryStorage()
  topics: readonly TopicInfo[] = [sampleTopic]
  /** Whether the broker told that it leaves. */
  left = false
  broker: Broker | undefined
  caller: Caller | undefined
  /** The last epoch that was given. */
  epoch = 0

  async start(): Promise<Caller> {
    await this.during(this.#listen())
    const { storage, transport, clock } = this
    const ports = { storage, transport, clock, crc32, random: new SeededRandom(1), log: silentLog }
    const log = { segmentBytes: 65_536, chunkBytes: 8_192, tailBytes: 8_192 }
    const options = { id: 1, coordinators: ['coordinator:1'], listen: 'broker:1', log }
    this.broker = await this.during(Broker.start(ports, options))
    this.caller = await this.during(
      Caller.connect(transport, 'broker:1', { clock, client: 'test' }),
    )
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

  async #listen(): Promise<void> {
    const answers = routes(
      route(brokerOpen, () => {
        this.epoch += 1
        return { reply: { clusterId: 'c', setId: 1, epoch: epoch(this.epoch), sessionMs: 6_000 } }
      }),
      route(brokerSession, ({ waitMs, leaving }) => {
        this.left = leaving === true
        const answer = { reply: { version: 1, topics: [...this.topics] } }
        if (waitMs === 0) return answer
        return new Promise((resolve) =>
          this.clock.after(waitMs, () => resolve({ reply: { version: 1 } })),
        )
      }),
    )
    const { clock } = this
    await this.transport.listen('coordinator:1', (channel) => {
      respond(channel, { role: 'coordinator', clusterId: () => 'c', clock, routes: answers })
    })
  }
}
