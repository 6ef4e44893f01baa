/** The peers: each way to use one is a row of the table. */
import type { Acknowledged, PeerWorkload } from './contender.ts'
import type { PeerClientName } from './clients/peer-client.ts'
import type { PeerServerName } from './servers/peer-server.ts'

export interface Peer {
  readonly name: string
  readonly server: PeerServerName
  readonly client: PeerClientName
  /** Absent: it is not measured, and why. */
  readonly workloads: Readonly<Record<PeerWorkload, PeerUse | NotForIt>>
  /** Part of the messages that a run has: slow ones would take minutes. */
  readonly share: number
}

export interface AbsentPeer extends NotForIt {
  readonly name: string
}

export interface PeerUse {
  readonly acknowledged: Acknowledged
  readonly settings: string
  /** Streams or queues that stand for a topic. */
  readonly streams: number
  readonly isOrdered: boolean
}

export interface NotForIt {
  readonly notRun: string
}

const fewPartitions = 8

function use(acknowledged: Acknowledged, streams: number, settings: string): PeerUse {
  return { acknowledged, streams, settings, isOrdered: true }
}

const redisUses = (acknowledged: Acknowledged): Peer['workloads'] => ({
  'end-to-end': use(acknowledged, fewPartitions, 'a pipeline of XADD per batch; XREAD COUNT 1000'),
  pop: use(acknowledged, 1, 'XACK and the next XREADGROUP in one pipeline, a connection each'),
})

const bullmqUses = (acknowledged: Acknowledged): Peer['workloads'] => ({
  'end-to-end': {
    ...use(acknowledged, fewPartitions, 'addBulk per batch; workers with concurrency 100'),
    isOrdered: false,
  },
  pop: use(acknowledged, 1, 'workers with a concurrency of one batch each, jobs removed'),
})

const kafkaUses = (acknowledged: Acknowledged): Peer['workloads'] => ({
  'end-to-end': use(
    acknowledged,
    fewPartitions,
    'a send per batch, acks all; fetches without a group',
  ),
  pop: { notRun: 'a group keeps one offset for each partition, no acks of single messages' },
})

const noSingleAcks = { notRun: 'a stream keeps no acks of single messages' }

const jetstreamPop = 'consume with 256 pulled ahead, explicit acks'
const jetstreamSends = 'publishes of a batch together; ordered consumers, 4,000 pulled ahead'

export const peers: readonly Peer[] = [
  {
    name: 'redis streams, everysec',
    server: 'redis-everysec',
    client: 'redis-streams',
    workloads: redisUses('before a sync'),
    share: 1,
  },
  {
    name: 'redis streams, always',
    server: 'redis-always',
    client: 'redis-streams',
    workloads: redisUses('after a sync'),
    share: 1,
  },
  {
    name: 'jetstream',
    server: 'nats',
    client: 'jetstream',
    workloads: {
      'end-to-end': use('before a sync', fewPartitions, jetstreamSends),
      pop: use('without an answer', 1, jetstreamPop),
    },
    share: 0.4,
  },
  {
    name: 'jetstream, double ack',
    server: 'nats',
    client: 'jetstream-double-ack',
    workloads: {
      'end-to-end': { notRun: 'the row jetstream has it' },
      pop: use('before a sync', 1, `${jetstreamPop} with an answer each`),
    },
    share: 0.4,
  },
  {
    name: 'jetstream, sync always',
    server: 'nats-sync-always',
    client: 'jetstream-double-ack',
    workloads: {
      'end-to-end': use('after a sync', fewPartitions, jetstreamSends),
      pop: use('after a sync', 1, `${jetstreamPop} with an answer each`),
    },
    share: 0.1,
  },
  {
    name: 'rabbitmq quorum queue',
    server: 'rabbitmq',
    client: 'rabbitmq-queues',
    workloads: {
      'end-to-end': use('after a sync', fewPartitions, 'confirms; prefetch 1000, one ack for 250'),
      pop: use('without an answer', 1, 'prefetch 256, one ack per batch'),
    },
    share: 0.4,
  },
  {
    name: 'rabbitmq stream',
    server: 'rabbitmq',
    client: 'rabbitmq-streams',
    workloads: {
      'end-to-end': use('before a sync', fewPartitions, 'confirms; chunks of up to 1,000'),
      pop: noSingleAcks,
    },
    share: 0.5,
  },
  {
    name: 'rabbitmq stream, amqp',
    server: 'rabbitmq',
    client: 'rabbitmq-streams-amqp',
    workloads: {
      'end-to-end': use('before a sync', fewPartitions, 'confirms; prefetch 1000, one ack for 250'),
      pop: noSingleAcks,
    },
    share: 0.4,
  },
  {
    name: 'bullmq, everysec',
    server: 'redis-everysec',
    client: 'bullmq-queues',
    workloads: bullmqUses('before a sync'),
    share: 0.1,
  },
  {
    name: 'bullmq, always',
    server: 'redis-always',
    client: 'bullmq-queues',
    workloads: bullmqUses('after a sync'),
    share: 0.1,
  },
  {
    name: 'kafka',
    server: 'kafka',
    client: 'kafka-topics',
    workloads: kafkaUses('before a sync'),
    share: 1,
  },
  {
    name: 'kafka, sync always',
    server: 'kafka-sync-always',
    client: 'kafka-topics',
    workloads: kafkaUses('after a sync'),
    share: 1,
  },
]

/** Peers that nothing here starts. */
export const absentPeers: readonly AbsentPeer[] = [
  {
    name: 'rocketmq',
    notRun: 'nothing here starts the name server, broker and gRPC proxy that its Node client needs',
  },
]

/** Those whose names begin with one of `only`; all without any. */
export function chosenPeers<T extends { readonly name: string }>(
  of: readonly T[],
  only: readonly string[],
): readonly T[] {
  if (only.length === 0) return of
  return of.filter(({ name }) => only.some((start) => name.startsWith(start)))
}
