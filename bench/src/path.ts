import { MqError } from '@popmq/client'
import { type Closable, closeAll } from '@popmq/kit'
import { Participant } from './participant.ts'
import type { Consumed, ConsumeGiven, Produced, ProduceGiven } from './participants/sides.ts'

/** One way from a producing to a consuming process: PopMQ's, or the stripped one. */
export interface MeasuredPath {
  readonly name: 'popmq' | 'stripped'
  /** Its processes; `server` is absent where a running cluster serves. */
  readonly pids: { readonly server?: number; readonly clients: readonly number[] }
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
  readonly server: PathServer
}

export interface PathServer extends Closable {
  /** Resolves when it has ended, and nothing can be measured any more. */
  readonly lost: Promise<MqError>
  readonly pid?: number
}

/** Starts the producing and the consuming process of a path. */
export async function openPath(files: PathFiles): Promise<MeasuredPath> {
  const { name, nodeFlags, server } = files
  const start = (role: 'producer' | 'consumer'): Participant =>
    new Participant(files[role], {
      name: `${name} ${role}`,
      nodeFlags: nodeFlags(`${name}-${role}`),
    })
  const producer = start('producer')
  const consumer = start('consumer')
  const parts = [server, producer, consumer]
  const call = <R extends object>(
    participant: Participant,
    command: string,
    given: object,
  ): Promise<R> => unlessLost(server, participant.call<R>(command, given))
  try {
    await call(producer, 'connect', files.connect)
    await call(consumer, 'connect', files.connect)
  } catch (error) {
    await closeAll(parts)
    throw error
  }
  const clients = [producer.pid, consumer.pid]
  return {
    name,
    pids: server.pid === undefined ? { clients } : { server: server.pid, clients },
    produce: (given) => call(producer, 'produce', given),
    startConsumer: (given) => call(consumer, 'start', given),
    finishConsumer: () => call(consumer, 'finish', {}),
    close: () => closeAll(parts),
  }
}

/** Waiting for a server that is gone would only end with the time limit. */
async function unlessLost<T extends object>({ lost }: PathServer, called: Promise<T>): Promise<T> {
  const first = await Promise.race([called, lost])
  if (first instanceof MqError) throw first
  return first
}
