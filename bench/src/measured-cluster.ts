import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type Client, connect, MqError } from '@popmq/client'
import { type Closable, closeAll, deferred } from '@popmq/kit'
import { openServer } from './measured-server.ts'
import { Participant } from './participant.ts'
import { profileFlags } from './profiled.ts'

export interface ClusterRequest {
  /** The `popmq` program, a JavaScript file. */
  readonly popmq: string
  /** Coordinators of a running cluster. @defaultValue one is started for the measurement */
  readonly servers?: string
  /** Where a folder for the data is made and removed again. @defaultValue the system's folder for temporary files */
  readonly data?: string
  /** A folder for CPU profiles; they slow everything down. */
  readonly profiles?: string
  /** Stops the measurement. */
  readonly signal: AbortSignal
}

/** What a measurement is made with. */
export interface MeasuredCluster {
  readonly servers: string
  /** For what is not measured: making topics, looking at groups. */
  readonly client: Client
  /** Starts a process that takes part, and connects it. */
  readonly start: (file: URL, options: StartOptions) => Promise<Participant>
}

export interface StartOptions {
  readonly name: string
  /** What `connect` is told beside the servers. @defaultValue nothing */
  readonly given?: object
  /** @defaultValue true */
  readonly isProfiled?: boolean
}

/**
 * Measures with a cluster; all that was started is closed behind it, so that profiles are written by then.
 * @throws MqError `aborted`, `connection_lost` when the cluster ended, and what `measure` throws
 */
export async function withCluster<R extends object>(
  request: ClusterRequest,
  measure: (cluster: MeasuredCluster) => Promise<R>,
): Promise<R> {
  const { popmq, servers, signal } = request
  const folder = await mkdtemp(path.join(request.data ?? tmpdir(), 'popmq-bench-'))
  const nodeFlags = profileFlags(request.profiles)
  const opened: Closable[] = []
  let isOver = false
  const stopped = deferred<MqError>()
  const stop = (): void => stopped.resolve(new MqError('aborted', 'the measurement was stopped'))
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  try {
    const data = path.join(folder, 'data')
    const server = await openServer({ popmq, servers, data, nodeFlags })
    opened.push(server)
    const client = await connect(server.servers, { client: 'popmq-bench', signal })
    opened.push(client)
    const start: MeasuredCluster['start'] = async (file, { name, given, isProfiled = true }) => {
      if (isOver) throw new MqError('closed', 'the measurement is over')
      const flags = isProfiled ? nodeFlags(`popmq-${name}`) : []
      const participant = new Participant(file, { name, nodeFlags: flags })
      opened.push(participant)
      await participant.call('connect', { servers: server.servers, ...given })
      return participant
    }
    const measuring = measure({ servers: server.servers, client, start })
    const first = await Promise.race([measuring, server.lost, stopped.promise])
    if (first instanceof MqError) throw first
    return first
  } finally {
    isOver = true
    signal.removeEventListener('abort', stop)
    await closeAll(opened)
    await rm(folder, { recursive: true, force: true })
  }
}
