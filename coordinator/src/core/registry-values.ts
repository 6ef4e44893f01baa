import {
  type Check,
  type Checked,
  limits,
  list,
  MqError,
  object,
  text,
  type TopicId,
  topicPolicy,
  whole,
} from '@popmq/protocol'
import type { RegistryNode, RegistrySession } from './registry-port.ts'

/**
 * What the coordinator keeps in the registry. Values are JSON, to be read with any tool.
 *    /cluster         who we are: cluster id and layout format; written once
 *    /leader          the coordinator that leads; its version is the leader's epoch
 *    /counters        numbers that only grow, set by every write
 *    /brokers/<id>    a broker that has opened: its set, newest epoch and address
 *    /topics/<name>   a topic, under its name in small letters: so no two names differ only in case
 *    /handle-keys     the keys that handles of popped messages are authenticated with: a secret
 * Groups have nodes of their own: see groups/group-values.ts.
 */
export const paths = {
  cluster: '/cluster',
  leader: '/leader',
  counters: '/counters',
  brokers: '/brokers',
  topics: '/topics',
  handleKeys: '/handle-keys',
  broker: (id: number): string => `/brokers/${id}`,
  topic: (name: string): string => `/topics/${name.toLowerCase()}`,
} as const

export const layoutFormat = 1

export const clusterValue = object({ format: whole(1), clusterId: text(64, 1) })

export const leaderValue = object({
  coordinator: text(256, 1),
  /** Random text, so that a coordinator whose write had no answer finds out whether it leads. */
  term: text(64, 1),
})

/** Each is the highest number given so far, 0 for none; `version` counts the changes that brokers are told. */
export const countersValue = object({
  /** The epoch of the leader that wrote this, and how many writes it had made: no two writes leave the same value. */
  leader: whole(1),
  write: whole(0),
  topicId: whole(0, 0xffff_ffff),
  setId: whole(),
  epoch: whole(0, 0xffff_ffff),
  producerId: whole(0, 2 ** 48 - 1),
  version: whole(),
  groupId: laterCounter(0xffff_ffff),
})
export type Counters = Omit<Checked<typeof countersValue>, 'leader' | 'write'>

export const brokerValue = object({
  id: whole(1, 0xffff),
  setId: whole(1),
  epoch: whole(1, 0xffff_ffff),
  incarnation: text(64, 1),
  address: text(256, 3),
})
export type BrokerRecord = Checked<typeof brokerValue>

export const topicValue = object({
  name: text(limits.nameBytes, 1),
  id: whole<TopicId>(1, 0xffff_ffff),
  sets: list(whole(1), limits.partitionsPerTopic),
  policy: topicPolicy,
  createdAt: whole(),
})

export const handleKeysValue = object({
  /** Newest first. */
  keys: list(object({ id: whole(0, 255), key: text(64, 64), madeAt: whole() }), 8),
})

/** A counter that earlier versions did not have: absent in what they wrote, it has given nothing. */
function laterCounter(most: number): Check<number> {
  const check = whole(0, most)
  return (value, path) => (value === undefined ? 0 : check(value, path))
}

export function encodeValue(value: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}

/** @throws MqError `data_directory_invalid` naming the path */
export function decodeValue<T>(check: Check<T>, path: string, { value }: RegistryNode): T {
  try {
    return check(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(value)), '')
  } catch (cause) {
    throw new MqError(
      'data_directory_invalid',
      `the registry holds at ${path} what this version cannot read`,
      { cause },
    )
  }
}

/** Every child of `folder`, checked, with the version of its node, in the order of their names. */
export async function readChildren<T>(
  session: RegistrySession,
  folder: string,
  check: Check<T>,
): Promise<{ readonly value: T; readonly version: number }[]> {
  const values: { value: T; version: number }[] = []
  for (const name of (await session.children(folder)) ?? []) {
    const path = `${folder}/${name}`
    const node = await session.read(path)
    if (node !== undefined)
      values.push({ value: decodeValue(check, path, node), version: node.version })
  }
  return values
}
