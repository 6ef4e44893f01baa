import assert from 'node:assert/strict'
import { Scheduler, SeededRandom } from '@popmq/kit/testing'
import { type RequestOf, type topicCreate, type TopicInfo } from '@popmq/protocol'
import { Cluster, type ClusterOptions } from '../core/cluster.ts'
import type { Registry } from '../core/registry-port.ts'
import { MemoryRegistry } from '../registry/memory-registry.ts'

/** A coordinator's core over virtual time and a registry in memory, without connections; others can take the lead. */
export class GroupsWorld {
  readonly scheduler = new Scheduler()
  readonly random: SeededRandom
  readonly registry: Registry
  /** Those that led, the newest last. */
  readonly clusters: Cluster[] = []
  readonly #options: Partial<ClusterOptions>

  private constructor(registry: Registry, seed: number, options: Partial<ClusterOptions>) {
    this.registry = registry
    this.random = new SeededRandom(seed)
    this.#options = options
  }

  static async start({
    registry = new MemoryRegistry(),
    seed = 1,
    options = {},
  }: {
    registry?: Registry
    seed?: number
    options?: Partial<ClusterOptions>
  } = {}): Promise<GroupsWorld> {
    const world = new GroupsWorld(registry, seed, options)
    await world.takeOver()
    return world
  }

  get cluster(): Cluster {
    const cluster = this.clusters.at(-1)
    assert.ok(cluster)
    return cluster
  }

  /** Another coordinator takes the lead; the one before does not know. */
  async takeOver(): Promise<Cluster> {
    const session = await this.registry.openSession(() => undefined)
    const cluster = await this.during(
      Cluster.lead({
        session,
        clock: this.scheduler,
        random: this.random.fork(),
        coordinator: `c${this.clusters.length}`,
        sessionMs: 6_000,
        observe: () => undefined,
        ...this.#options,
      }),
    )
    this.clusters.push(cluster)
    return cluster
  }

  async createTopic(name: string, partitions: number): Promise<TopicInfo> {
    const { cluster } = this
    const request: RequestOf<typeof topicCreate> = { name, partitions }
    const sets = [{ id: 1, load: 0 }]
    const change = await this.during(
      cluster.leadership.write(
        () =>
          cluster.topics.prepareCreate(request, {
            counters: cluster.leadership.counters,
            sets,
            nowMs: 0,
          }),
        (made) => cluster.topics.created(made),
      ),
    )
    await this.during(cluster.applied(change))
    return change.info
  }

  async growTopic(name: string, partitions: number): Promise<void> {
    const { cluster } = this
    const sets = [{ id: 1, load: 0 }]
    const change = await this.during(
      cluster.leadership.write(
        () =>
          cluster.topics.prepareSet(
            { name, partitions },
            { counters: cluster.leadership.counters, sets },
          ),
        (made) => cluster.topics.changed(made),
      ),
    )
    await this.during(cluster.applied(change))
  }

  async deleteTopic(name: string): Promise<void> {
    const { cluster } = this
    const change = await this.during(
      cluster.leadership.write(
        () => cluster.topics.prepareDelete(name, { counters: cluster.leadership.counters }),
        (made) => cluster.topics.removed(made),
      ),
    )
    await this.during(cluster.applied(change))
  }

  run(durationMs: number): Promise<void> {
    return this.scheduler.run(durationMs)
  }

  /** Lets virtual time pass until `promise` settles. */
  async during<T>(promise: Promise<T>): Promise<T> {
    let settled = false
    const settle = (): void => void (settled = true)
    promise.then(settle, settle)
    const untilMs = this.scheduler.monotonic() + 600_000
    assert.ok(await this.scheduler.runUntil(() => settled, untilMs), 'it settles in ten minutes')
    return promise
  }
}
