import {
  type Closable,
  closeAll,
  type Log,
  StorageError,
  systemClock,
  systemRandom,
} from '@popmq/kit'
import { DataDirectoryError, openDataDirectory } from '@popmq/kit/storage'
import { type ErrorName, MqError } from '@popmq/protocol'
import { type HttpAnswer, parseAddress, type Transport, webSocketTransport } from '@popmq/transport'
import { coordinatorMetrics } from './coordinator-metrics.ts'
import { type Coordinator, type CoordinatorHealth, startCoordinator } from './coordinator.ts'
import { EmbeddedRegistry } from './registry/embedded-registry.ts'

export interface CoordinatorProcessOptions {
  /** host:port to listen on; port 0 takes a free one. */
  readonly listen: string
  /** host:port that others are told. @defaultValue where it listens */
  readonly advertise?: string
  /** The data directory of the embedded registry: made when there is none, and ours alone. */
  readonly data: string
  readonly log: Log
  /** @defaultValue 6_000, 100..600_000 */
  readonly sessionMs?: number
  /** Called once when it can no longer be trusted: the process must end. */
  readonly onFatal: (error: MqError) => void
}

export interface CoordinatorProcess extends Closable {
  /** host:port where it listens, for the WebSocket, `/metrics`, `/healthz` and `/readyz`. */
  readonly address: string
  readonly clusterId: string
  health(): CoordinatorHealth
}

/**
 * A coordinator as a process runs it: real clock, WebSocket, the embedded registry in `data`.
 * @throws MqError `data_directory_locked`, `data_directory_invalid`, `newer_format`, `damaged_log`, `disk_full`,
 * `disk_failed`, `port_in_use`, `invalid_config`
 */
export async function coordinatorProcess(
  options: CoordinatorProcessOptions,
): Promise<CoordinatorProcess> {
  const opened: Closable[] = []
  const keep = <T extends Closable>(part: T): T => {
    opened.push(part)
    return part
  }
  const onFatal = once(options.onFatal)
  try {
    const directory = keep(await openDataDirectory(options.data, { role: 'coordinator' }))
    const registry = keep(await EmbeddedRegistry.open({ storage: directory.storage, onFatal }))
    const coordinator = keep(await start(options, { registry, onFatal }))
    await directory.claim({ clusterId: coordinator.clusterId })
    void directory.lost.then(() => {
      onFatal(
        new MqError('data_directory_locked', `the data directory ${options.data} was taken away`),
      )
    })
    const { address, clusterId } = coordinator
    let closing: Promise<void> | undefined
    const close = (): Promise<void> => (closing ??= closeAll(opened))
    return { address, clusterId, health: () => coordinator.health(), close }
  } catch (error) {
    await closeAll(opened)
    throw asStartError(error)
  }
}

function start(
  { listen, advertise, log, sessionMs }: CoordinatorProcessOptions,
  { registry, onFatal }: { registry: EmbeddedRegistry; onFatal: (error: MqError) => void },
): Promise<Coordinator> {
  let started: Coordinator | undefined
  const metrics = coordinatorMetrics(() => started?.health())
  const transport: Transport = webSocketTransport({
    hosts: advertise === undefined ? [] : [parseAddress(advertise).host],
    onDefect: (error) => log.error('defect', { error: String(error) }),
    http: async ({ path }) => {
      if (path === '/metrics')
        return { status: 200, contentType: metrics.contentType, body: await metrics.text() }
      if (path === '/healthz' || path === '/readyz') return probe(started?.health())
      return undefined
    },
  })
  const given = {
    ...(advertise === undefined ? {} : { advertise }),
    ...(sessionMs === undefined ? {} : { sessionMs }),
  }
  return startCoordinator({
    registry,
    transport,
    clock: systemClock,
    random: systemRandom,
    log,
    listen,
    ...given,
    observe: (event) => metrics.observe(event),
    onFatal,
  }).then((coordinator) => {
    started = coordinator
    return coordinator
  })
}

/** Healthy and ready are the same here: a coordinator that does not lead has nothing to do but end. */
function probe(health: CoordinatorHealth | undefined): HttpAnswer {
  const status = health?.isLeading === true ? 200 : 503
  const body = `${JSON.stringify({ status: status === 200 ? 'leading' : 'not leading', ...health })}\n`
  return { status, contentType: 'application/json', body }
}

const directoryErrors = {
  locked: 'data_directory_locked',
  newer_format: 'newer_format',
  foreign: 'foreign_cluster',
  invalid: 'data_directory_invalid',
} as const satisfies Record<DataDirectoryError['kind'], ErrorName>

function asStartError(error: unknown): unknown {
  if (error instanceof DataDirectoryError) {
    return new MqError(directoryErrors[error.kind], error.message, { cause: error })
  }
  if (error instanceof StorageError) {
    return new MqError(error.kind === 'full' ? 'disk_full' : 'disk_failed', error.message, {
      cause: error,
    })
  }
  return error
}

function once(call: (error: MqError) => void): (error: MqError) => void {
  let called = false
  return (error) => {
    if (called) return
    called = true
    call(error)
  }
}
