import type { AckLevel } from '@popmq/client'
import { openServer } from './measured-server.ts'
import { type MeasuredPath, type NodeFlags, openPath } from './path.ts'

export interface PopmqPathOptions {
  readonly acks: AckLevel
  readonly popmq: string
  /** Coordinators of a running cluster; undefined: one is started. */
  readonly servers: string | undefined
  readonly data: string
  readonly nodeFlags: NodeFlags
}

export interface PopmqPath extends MeasuredPath {
  readonly servers: string
}

/** The real path: `popmq dev`, and the public client on both sides. */
export async function openPopmqPath({
  acks,
  popmq,
  servers,
  data,
  nodeFlags,
}: PopmqPathOptions): Promise<PopmqPath> {
  const server = await openServer({ popmq, servers, data, nodeFlags })
  const path = await openPath({
    name: 'popmq',
    producer: new URL('participants/popmq-producer.js', import.meta.url),
    consumer: new URL('participants/popmq-consumer.js', import.meta.url),
    nodeFlags,
    connect: { servers: server.servers, acks },
    server,
  })
  return { ...path, servers: server.servers }
}
