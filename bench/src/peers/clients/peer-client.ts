/** What a peer's client is asked to do, whatever it is called there. */
import type { Closable } from '@popmq/kit'

export const peerClients = [
  'redis-streams',
  'jetstream',
  'jetstream-double-ack',
  'rabbitmq-queues',
  'rabbitmq-streams',
  'rabbitmq-streams-amqp',
  'bullmq-queues',
  'kafka-topics',
] as const
export type PeerClientName = (typeof peerClients)[number]

/** Where a peer's server listens, on this machine. */
export interface PeerAddress {
  readonly port: number
  /** Of RabbitMQ's own protocol for streams. */
  readonly streamPort?: number
}

/** What stands in the place of a topic: streams or queues with this name and a number. */
export interface PeerRun {
  readonly name: string
  /** How many of them: a partition each. */
  readonly streams: number
}

/** One message: `value` and `text` say the same, for clients that send bytes or text. */
export interface Outgoing {
  stream: number
  key: string
  number: number
  readonly value: Buffer
}

/** Messages that came, or were acknowledged. */
export interface Taking {
  readonly sizeBytes: number
  /** One message; its stream is that of its place in the run. Returns whether it was the last. */
  readonly take: (value: Uint8Array, stream: number) => boolean
}

export interface PopGiven extends Pick<Taking, 'sizeBytes'> {
  readonly run: PeerRun
  /** In this process; the first of them has this number among all. */
  readonly consumers: number
  readonly firstConsumer: number
  /** Messages of each pop. */
  readonly batch: number
  readonly acked: (values: readonly Uint8Array[]) => void
  readonly failed: (error: unknown) => void
}

/** Consumers that are connected. */
export interface Popping {
  start(): Promise<void>
  /** Lets go of the server; what is under way is finished. */
  stop(): Promise<void>
}

export interface PeerClient extends Closable {
  /** Makes the streams of a run, for `pop` with a group that begins at their start. */
  create(run: PeerRun): Promise<void>
  /** Resolves when each message is acknowledged. Messages may be filled again then. */
  send(run: PeerRun, batch: readonly Outgoing[], sizeBytes: number): Promise<void>
  /** Reads from the beginning of all streams, until the last message was taken. */
  read(run: PeerRun, taking: Taking): Promise<void>
  openPop(given: PopGiven): Promise<Popping>
  /** Messages of a run that its group is not done with, when its consumers have stopped. */
  unacked(run: PeerRun): Promise<number>
  remove(run: PeerRun): Promise<void>
}

export function streamName({ name }: PeerRun, stream: number): string {
  return `${name}-${stream}`
}

export function streamNames(run: PeerRun): readonly string[] {
  return Array.from({ length: run.streams }, (_, stream) => streamName(run, stream))
}
