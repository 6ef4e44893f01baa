import type { MqError } from '@popmq/client'
import type { NodeFlags, PathServer } from './path.ts'
import { ServerProcess } from './server-process.ts'

export interface MeasuredServerOptions {
  readonly popmq: string
  /** Coordinators of a running cluster; undefined: one is started. */
  readonly servers: string | undefined
  readonly data: string
  readonly nodeFlags: NodeFlags
}

export interface MeasuredServer extends PathServer {
  readonly servers: string
}

/** `popmq dev` in a process of its own, or a cluster that runs already and is left running. */
export async function openServer({
  popmq,
  servers,
  data,
  nodeFlags,
}: MeasuredServerOptions): Promise<MeasuredServer> {
  if (servers === undefined)
    return ServerProcess.start({ popmq, data, nodeFlags: nodeFlags('popmq-server') })
  // Never said to be lost: calls to it fail.
  return { servers, lost: new Promise<MqError>(() => undefined), close: () => Promise.resolve() }
}
