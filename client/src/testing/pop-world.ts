import { assert } from '@popmq/kit'
import type { PopConsumer, PoppedMessage, Settled } from '../api/pop-consumer.ts'
import type { FakePopGroup } from './fake-pop-group.ts'
import { makeWorld, type World, type WorldOptions } from './world.ts'

/** Who pops in tests. */
export const mail = { group: 'mail', topics: ['orders'] }

export interface PopWorld extends World {
  readonly group: FakePopGroup
}

/** A world with a topic `orders` and a group `mail`. */
export async function popWorld({
  partitions = 1,
  ...options
}: WorldOptions & { readonly partitions?: number } = {}): Promise<PopWorld> {
  const world = await makeWorld(options)
  world.cluster.addTopic('orders', partitions)
  return { ...world, group: world.cluster.pops.group('mail') }
}

/** The next message, which is there. */
export async function popOne({ until }: World, pop: PopConsumer): Promise<PoppedMessage> {
  const [message] = await until(pop.receive({ max: 1 }))
  assert(message !== undefined, 'a test pops what is there')
  return message
}

export function resultsOf(settled: readonly Settled[]): Settled['result'][] {
  return settled.map(({ result }) => result)
}

/** The name of what the promise will be rejected with. */
export function refusal(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'nothing',
    (error: Error) => error.name,
  )
}
