import { connectBullmq } from './bullmq-queues.ts'
import { connectJetstream } from './jetstream.ts'
import { connectKafka } from './kafka-topics.ts'
import type { PeerAddress, PeerClient, PeerClientName } from './peer-client.ts'
import { connectRabbitmqQueues } from './rabbitmq-queues.ts'
import { connectRabbitmqStreams } from './rabbitmq-streams.ts'
import { connectRedisStreams } from './redis-streams.ts'

export function connectPeer(name: PeerClientName, address: PeerAddress): Promise<PeerClient> {
  switch (name) {
    case 'redis-streams':
      return connectRedisStreams(address)
    case 'jetstream':
      return connectJetstream(address, { isAckAnswered: false })
    case 'jetstream-double-ack':
      return connectJetstream(address, { isAckAnswered: true })
    case 'rabbitmq-queues':
      return connectRabbitmqQueues(address, 'quorum')
    case 'rabbitmq-streams-amqp':
      return connectRabbitmqQueues(address, 'stream')
    case 'rabbitmq-streams':
      return connectRabbitmqStreams(address)
    case 'bullmq-queues':
      return connectBullmq(address)
    case 'kafka-topics':
      return connectKafka(address)
    default:
      return name satisfies never
  }
}
