import { type BrokerInfo, epoch, type metadata, type ReplyOf, type SetInfo } from '@popmq/protocol'
import type { BrokerState } from './brokers.ts'
import type { BrokerRecord } from './registry-values.ts'
import type { Topics } from './topics.ts'

export interface RoutesOf {
  readonly clusterId: string
  readonly topics: Pick<Topics, 'shown'>
  readonly brokers: readonly { readonly record: BrokerRecord; readonly state: BrokerState }[]
}

/** The reply to a metadata request: topics by name, sets and brokers by id. Without `names` every topic. */
export function routesOf(
  { clusterId, topics, brokers }: RoutesOf,
  names?: readonly string[],
): ReplyOf<typeof metadata> {
  return {
    clusterId,
    topics: topics.shown(names),
    sets: brokers.map(setInfo).toSorted((a, b) => a.id - b.id),
    brokers: brokers.map(brokerInfo),
  }
}

/** A set has one broker, which leads it while it has a session. */
function setInfo({ record, state }: RoutesOf['brokers'][number]): SetInfo {
  const leads = state !== 'ended'
  return {
    id: record.setId,
    leader: leads ? record.id : 0,
    epoch: epoch(record.epoch),
    address: leads ? record.address : '',
  }
}

/** `alive` only while its connection stands: a killed broker shows at once. */
function brokerInfo({ record, state }: RoutesOf['brokers'][number]): BrokerInfo {
  const { id, setId, address } = record
  return { id, epoch: epoch(record.epoch), address, alive: state === 'live', setId }
}
