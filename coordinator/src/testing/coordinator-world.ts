import assert from 'node:assert/strict'
import { silentLog } from '@popmq/kit'
import { Scheduler, SeededRandom } from '@popmq/kit/testing'
import {
  brokerOpen,
  brokerSession,
  type Epoch,
  type Exchange,
  groupReport,
  type HandleKey,
  isMqError,
  type MqError,
  type ReplyOf,
  type RequestOf,
  type ServedGroup,
  type TopicInfo,
  type WantedReport,
} from '@popmq/protocol'
import { Caller, loopbackTransport } from '@popmq/transport'
import { type Coordinator, type CoordinatorOptions, startCoordinator } from '../coordinator.ts'
import type { BrokerReport } from '../core/groups/wanted-reports.ts'
import type { Registry } from '../core/registry-port.ts'
import { MemoryRegistry } from '../registry/memory-registry.ts'

export const sessionMs = 6_000

/** A coordinator over a virtual clock, a transport in memory and a registry that outlives it. */
export class CoordinatorWorld {
  readonly #joined = new Map<number, { readonly clusterId: string }>()
  readonly scheduler = new Scheduler()
  readonly random = new SeededRandom(1)
  readonly transport = loopbackTransport(this.scheduler)
  readonly registry: Registry
  readonly fatal: MqError[] = []

  constructor(registry: Registry = new MemoryRegistry()) {
    this.registry = registry
  }

  start(options: Partial<CoordinatorOptions> = {}): Promise<Coordinator> {
    return this.during(
      startCoordinator({
        registry: this.registry,
        transport: this.transport,
        clock: this.scheduler,
        random: this.random,
        log: silentLog,
        listen: 'coordinator:7700',
        sessionMs,
        onFatal: (error) => this.fatal.push(error),
        ...options,
      }),
    )
  }

  /** Lets virtual time pass until `promise` settles. */
  async during<T>(promise: Promise<T>): Promise<T> {
    let settled = false
    const settle = (): void => void (settled = true)
    promise.then(settle, settle)
    assert.ok(
      await this.scheduler.runUntil(() => settled, this.scheduler.monotonic() + 600_000),
      'it settles in ten minutes',
    )
    return promise
  }

  connect(client = 'test', address = 'coordinator:7700'): Promise<Caller> {
    return this.during(Caller.connect(this.transport, address, { clock: this.scheduler, client }))
  }

  /** One request over a connection of its own. */
  async ask<Q extends object, R>(
    exchange: Exchange<Q, R>,
    request: Q,
    address?: string,
  ): Promise<R> {
    const caller = await this.connect('test', address)
    try {
      return (await this.during(caller.call(exchange, request, { timeoutMs: 120_000 }))).reply
    } finally {
      await this.during(caller.close())
    }
  }

  /** The broker's data directory is lost. */
  wipe(id: number): void {
    this.#joined.delete(id)
  }

  /** Opens a broker as its data directory would: the cluster that it joined first stays in it. */
  async openBroker(
    id: number,
    facts: Partial<RequestOf<typeof brokerOpen>> = {},
  ): Promise<TestBroker> {
    const caller = await this.connect(`broker-${id}`)
    const request = {
      brokerId: id,
      incarnation: `${id}-${this.random.next()}`,
      address: `broker:${7_710 + id}`,
      highestTopicId: 0,
      highestEpoch: 0,
      ...this.#joined.get(id),
      ...facts,
    }
    try {
      const { reply } = await this.during(caller.call(brokerOpen, request, { timeoutMs: 10_000 }))
      this.#joined.set(id, { clusterId: reply.clusterId })
      return new TestBroker(this, { caller, id, incarnation: request.incarnation, opened: reply })
    } catch (error) {
      await this.during(caller.close())
      throw error
    }
  }
}

/** A broker as the coordinator sees one: it takes up what it is told and holds a request for more. */
export class TestBroker {
  readonly id: number
  readonly incarnation: string
  readonly opened: ReplyOf<typeof brokerOpen>
  readonly #world: CoordinatorWorld
  readonly #caller: Caller
  version = 0
  topics: readonly TopicInfo[] = []
  groups: readonly ServedGroup[] = []
  handleKeys: readonly HandleKey[] = []
  /** How often it was told the groups. */
  timesGroups = 0
  /** What it reports of a group when it is asked; undefined: it is silent. */
  reports: ((wanted: WantedReport) => BrokerReport | undefined) | undefined
  /** What ended `keep`. */
  ended: MqError | undefined
  #isStopped = false

  constructor(
    world: CoordinatorWorld,
    parts: { caller: Caller; id: number; incarnation: string; opened: ReplyOf<typeof brokerOpen> },
  ) {
    this.#world = world
    this.#caller = parts.caller
    this.id = parts.id
    this.incarnation = parts.incarnation
    this.opened = parts.opened
  }

  get epoch(): Epoch {
    return this.opened.epoch
  }

  /** One turn of the held request. */
  async renew(
    fields: Partial<RequestOf<typeof brokerSession>> = {},
  ): Promise<ReplyOf<typeof brokerSession>> {
    const request = {
      brokerId: this.id,
      epoch: this.epoch,
      appliedVersion: this.version,
      waitMs: 0,
      ...fields,
    }
    const { reply } = await this.#caller.call(brokerSession, request, { timeoutMs: 70_000 })
    if (reply.topics !== undefined) this.topics = reply.topics
    if (reply.groups !== undefined) this.timesGroups += 1
    this.groups = reply.groups ?? this.groups
    this.handleKeys = reply.handleKeys ?? this.handleKeys
    this.version = reply.version
    for (const wanted of reply.wanted ?? []) {
      const report = this.reports?.(wanted)
      if (report !== undefined) await this.report({ ticket: wanted.ticket, ...report })
    }
    return reply
  }

  async report(
    fields: Pick<RequestOf<typeof groupReport>, 'ticket'> & Partial<RequestOf<typeof groupReport>>,
  ): Promise<void> {
    const request = { brokerId: this.id, epoch: this.epoch, partitions: [], delayed: [], ...fields }
    await this.#caller.call(groupReport, request, { timeoutMs: 10_000 })
  }

  /** Goes on renewing in the background. @returns this */
  keep(): this {
    void this.#keep().catch((error: MqError) => (this.ended = error))
    return this
  }

  /** Ends as a killed process does: the connection closes, nothing is said. */
  async kill(): Promise<void> {
    this.#isStopped = true
    await this.#world.during(this.#caller.close())
  }

  /** Falls silent with its connection standing, as a stopped process does. */
  freeze(): void {
    this.#isStopped = true
  }

  async #keep(): Promise<void> {
    while (!this.#isStopped) await this.renew({ waitMs: 20_000 })
  }
}

/** Whether an error has this name, and a text that matches. */
export function refused(name: MqError['name'], pattern = /./): (error: unknown) => boolean {
  return (error) => isMqError(error, name) && pattern.test(error.message)
}
