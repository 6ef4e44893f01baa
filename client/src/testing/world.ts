import { assert } from '@popmq/kit'
import { Scheduler, SeededRandom } from '@popmq/kit/testing'
import { loopbackTransport } from '@popmq/transport'
import type { Client, ConnectOptions } from '../api/client.ts'
import { connect } from '../connect.ts'
import { FakeCluster } from './fake-cluster.ts'
import type { FakePart } from './faults.ts'

/** A cluster and a client in virtual time. */
export interface World {
  readonly clock: Scheduler
  readonly cluster: FakeCluster
  readonly client: Client
  /** Lets virtual time pass until the promise settles, at most ten minutes. */
  readonly until: <T>(promise: Promise<T>) => Promise<T>
  /** What the promise was rejected with. */
  readonly failure: (promise: Promise<unknown>) => Promise<Error>
}

export interface WorldOptions extends ConnectOptions {
  readonly brokers?: number
  readonly seed?: number
  readonly parts?: readonly FakePart[]
}

const mostMs = 600_000

export async function makeWorld({
  brokers = 1,
  seed = 1,
  parts = [],
  ...options
}: WorldOptions = {}): Promise<World> {
  const clock = new Scheduler()
  const random = new SeededRandom(seed)
  const transport = loopbackTransport(clock)
  const until = async <T>(promise: Promise<T>): Promise<T> => {
    let isSettled = false
    const note = (): void => void (isSettled = true)
    promise.then(note, note)
    const done = await clock.runUntil(() => isSettled, clock.monotonic() + mostMs)
    assert(done, 'what a test waits for settles within ten minutes of virtual time')
    return promise
  }
  const cluster = await FakeCluster.start(clock, transport, brokers)
  cluster.parts.push(...parts)
  const client = await until(connect(cluster.coordinator, { clock, random, transport, ...options }))
  const failure = async (promise: Promise<unknown>): Promise<Error> => {
    const outcome = await until(
      promise.then(
        () => undefined,
        (error: Error) => error,
      ),
    )
    assert(outcome !== undefined, 'what should fail does not succeed')
    return outcome
  }
  return { clock, cluster, client, until, failure }
}
