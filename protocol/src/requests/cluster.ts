import { exchange } from '../exchange.ts'
import { type Checked, list, object, oneOf, text, whole } from '../fields.ts'
import type { Epoch } from '../numbers.ts'

/** A coordinator that has a session with the registry. */
export const coordinatorInfo = object({
  id: whole(1, 0xffff),
  /** Where others reach it: host:port. */
  address: text(256),
})
export type CoordinatorInfo = Checked<typeof coordinatorInfo>

/**
 * `live` it was heard in time, over a connection that stands; `detached` that connection has closed; `recovering` not
 * heard yet since this coordinator leads; `ended` its session is over.
 */
export const brokerStates = ['live', 'detached', 'recovering', 'ended'] as const
export type BrokerState = (typeof brokerStates)[number]

export const brokerStatus = object({
  id: whole(1),
  epoch: whole<Epoch>(0, 0xffff_ffff),
  address: text(256),
  setId: whole(1),
  state: oneOf(...brokerStates),
})
export type BrokerStatus = Checked<typeof brokerStatus>

/** Who leads, who is there, and how much there is. */
export const clusterStatus = exchange({
  type: 7,
  name: 'cluster_status',
  request: object({}),
  reply: object({
    clusterId: text(64),
    /** Where others reach the coordinator that leads: host:port. */
    leader: text(256),
    leaderEpoch: whole(1),
    coordinators: list(coordinatorInfo, 1_000),
    brokers: list(brokerStatus, 10_000),
    topics: whole(),
    partitions: whole(),
    groups: whole(),
  }),
})
