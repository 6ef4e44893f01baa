/** What a process with a peer's client is told. It answers as those of PopMQ's paths do. */
import type { PeerAddress, PeerClientName, PeerRun } from './clients/peer-client.ts'

export interface ConnectGiven {
  readonly client: PeerClientName
  readonly address: PeerAddress
}

export interface SendGiven {
  readonly run: PeerRun
  readonly messages: number
  readonly batch: number
  readonly sizeBytes: number
}

export interface ReadGiven {
  readonly run: PeerRun
  readonly messages: number
  readonly sizeBytes: number
  /** Whether messages of one stream come in the order in which they were sent. */
  readonly isOrdered: boolean
}

export interface PeerPopGiven extends SendGiven {
  readonly consumers: number
  readonly firstConsumer: number
}
