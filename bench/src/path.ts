import { closeAll } from '@popmq/kit'
import { Participant } from './participant.ts'
import type { Consumed, ConsumeGiven, Produced, ProduceGiven } from './participants/sides.ts'

/** One way from a producing to a consuming process: PopMQ's, or the stripped one. */
export interface MeasuredPath {
  readonly name: 'popmq' | 'stripped'
  produce(given: ProduceGiven): Promise<Produced>
  startConsumer(given: ConsumeGiven): Promise<object>
  finishConsumer(): Promise<Consumed>
  /** Lets its processes end; their profiles are written by then. */
  close(): Promise<void>
}

/** Flags for the Node.js of one of its processes. */
export type NodeFlags = (process: string) => readonly string[]

export interface PathFiles {
  readonly name: MeasuredPath['name']
  readonly producer: URL
  readonly consumer: URL
  readonly nodeFlags: NodeFlags
  /** What both are told with `connect`. */
  readonly connect: object
  /** Closed last. */
  readonly server: { close(): Promise<void> }
}

/** Starts the producing and the consuming process of a path. */
export async function openPath(files: PathFiles): Promise<MeasuredPath> {
  const { name, nodeFlags, server } = files
  const start = (role: 'producer' | 'consumer'): Participant =>
    new Participant(files[role], { name: `${name} ${role}`, nodeFlags: nodeFlags(`${name}-${role}`) })
  const producer = start('producer')
  const consumer = start('consumer')
  const parts = [server, producer, consumer]
  try {
    await producer.call('connect', files.connect)
    await consumer.call('connect', files.connect)
  } catch (error) {
    await closeAll(parts)
    throw error
  }
  return {
    name,
    produce: (given) => producer.call('produce', given),
    startConsumer: (given) => consumer.call('start', given),
    finishConsumer: () => consumer.call('finish', {}),
    close: () => closeAll(parts),
  }
}
