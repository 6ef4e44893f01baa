import type { MqError } from '@popmq/client'
import type { Closable } from '@popmq/kit'
import type { PeerAddress } from '../clients/peer-client.ts'

export const peerServers = [
  'redis-everysec',
  'redis-always',
  'nats',
  'nats-sync-always',
  'rabbitmq',
  'kafka',
  'kafka-sync-always',
] as const
export type PeerServerName = (typeof peerServers)[number]

export interface PeerServer extends Closable {
  readonly address: PeerAddress
  /** Resolves when it has ended, and nothing can be measured any more. */
  readonly lost: Promise<MqError>
}
