/** Who takes part in a measurement beside peers: PopMQ itself, and each way to use a peer. */
import type { MqError } from '@popmq/client'
import type { Closable } from '@popmq/kit'

export const peerWorkloads = ['end-to-end', 'pop'] as const
export type PeerWorkload = (typeof peerWorkloads)[number]

/** When an acknowledgement comes: a producer's at end-to-end, a consumer's at pop. */
export type Acknowledged = 'after a sync' | 'before a sync' | 'without an answer'

export interface Contender extends Closable {
  readonly name: string
  readonly acknowledged: Acknowledged
  /** Settings that matter, for the reader of the table. */
  readonly settings: string
  /** Of server and client. */
  readonly versions: string
  /** Messages of each run: those that are slow have fewer. */
  readonly messages: number
  /** Resolves when its server has ended. */
  readonly lost: Promise<MqError>
  /** One run, measured in ms from the first message to the last. */
  measure(run: number): Promise<number>
}

export interface PeersSettings {
  readonly workload: PeerWorkload
  readonly sizeBytes: number
  /** end-to-end: messages given to the producer at once; pop: messages of a pop. */
  readonly batch: number
  /** Messages per run. */
  readonly messages: number
  /** Timed runs, behind one that warms up. */
  readonly runs: number
  /** pop: consumers of the group, and client processes that share them. */
  readonly consumers: number
  readonly processes: number
}
