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
import { loadAssignorModules } from './assignor-modules.ts'
import { coordinatorMetrics } from './coordinator-metrics.ts'
import { type Coordinator, type CoordinatorHealth, startCoordinator } from './coordinator.ts'
import type { Registry } from './core/registry-port.ts'
import { EmbeddedRegistry } from './registry/embedded-registry.ts'
import { ZookeeperRegistry } from './registry/zookeeper/zookeeper-registry.ts'

export interface CoordinatorProcessOptions {
  /** Its number among the coordinators of the cluster, 1..65_535. @defaultValue 1 */
  readonly id?: number
  /** host:port to listen on; port 0 takes a free one. */
  readonly listen: string
  /** host:port that others are told. @defaultValue where it listens */
  readonly advertise?: string
  readonly registry: RegistryPlace
  /** A folder of assignors that users brought: `NAME.mjs`, each for the groups with `assignor=NAME`. @defaultValue none */
  readonly assignors?: string
  readonly log: Log
  /** @defaultValue 6_000, 100..600_000 */
  readonly sessionMs?: number
  /** Called once when it can no longer be trusted: the process must end. */
  readonly onFatal: (error: MqError) => void
}

/** Where the registry is. */
export type RegistryPlace =
  /** The data directory of the embedded registry: made when there is none, and this coordinator's alone. */
  | { readonly data: string }
  /** `host:port,host:port/path`: an ensemble, which any number of coordinators share. */
  | {
      readonly zookeeper: string
      /** `user:password`, to sign in with `digest`; what is made is this user's alone. @defaultValue nobody signs in */
      readonly auth?: string
    }

export interface CoordinatorProcess extends Closable {
  /** host:port where it listens, for the WebSocket, `/metrics`, `/healthz` and `/readyz`. */
  readonly address: string
  readonly clusterId: string
  health(): CoordinatorHealth
}

/**
 * A coordinator as a process runs it: real clock, WebSocket, the registry at its place.
 * @throws MqError `data_directory_locked`, `data_directory_invalid`, `newer_format`, `damaged_log`, `disk_full`,
 * `disk_failed`, `port_in_use`, `invalid_config`, `registry_unavailable`
 */
export async function coordinatorProcess(
  options: CoordinatorProcessOptions,
): Promise<CoordinatorProcess> {
  const opened: Closable[] = []
  const keep = <T extends Closable>(part: T): T => {
    opened.push(part)
    return part
  }
  const given = { ...options, onFatal: once(options.onFatal) }
  const { registry: place } = options
  try {
    const coordinator =
      'data' in place
        ? await startOnData(place.data, given, keep)
        : await startOnZookeeper(place, given, keep)
    const { address } = coordinator
    let closing: Promise<void> | undefined
    const close = (): Promise<void> => (closing ??= closeAll(opened))
    return {
      address,
      get clusterId() {
        return coordinator.clusterId
      },
      health: () => coordinator.health(),
      close,
    }
  } catch (error) {
    await closeAll(opened)
    throw asStartError(error)
  }
}

/** How long nobody leads after the leader's machine died; less than a client tries to connect. */
const registrySessionMs = 6_000

type Keep = <T extends Closable>(part: T) => T

async function startOnData(
  data: string,
  options: CoordinatorProcessOptions,
  keep: Keep,
): Promise<Coordinator> {
  const { onFatal } = options
  const directory = keep(await openDataDirectory(data, { role: 'coordinator' }))
  const registry = keep(await EmbeddedRegistry.open({ storage: directory.storage, onFatal }))
  const coordinator = await start(options, registry, keep)
  await directory.claim({ clusterId: coordinator.clusterId })
  void directory.lost.then(() => {
    onFatal(new MqError('data_directory_locked', `the data directory ${data} was taken away`))
  })
  return coordinator
}

async function startOnZookeeper(
  { zookeeper: hosts, auth }: Extract<RegistryPlace, { zookeeper: string }>,
  options: CoordinatorProcessOptions,
  keep: Keep,
): Promise<Coordinator> {
  const { log } = options
  const machine = { clock: systemClock, random: systemRandom }
  const given = auth === undefined ? {} : { auth: credentials(auth) }
  const at = { hosts, log, sessionMs: registrySessionMs }
  const registry = new ZookeeperRegistry({ ...at, ...machine, ...given })
  return start(options, keep(registry), keep)
}

/** @throws MqError `invalid_config` */
function credentials(auth: string): { scheme: 'digest'; user: string; password: string } {
  const colon = auth.indexOf(':')
  if (colon < 1) throw new MqError('invalid_config', 'who signs in at ZooKeeper is user:password')
  return { scheme: 'digest', user: auth.slice(0, colon), password: auth.slice(colon + 1) }
}

async function start(
  options: CoordinatorProcessOptions,
  registry: Registry,
  keep: Keep,
): Promise<Coordinator> {
  const { listen, advertise, log, sessionMs, id, assignors, onFatal } = options
  const modules =
    assignors === undefined
      ? undefined
      : keep(await loadAssignorModules(assignors, { clock: systemClock }))
  const running: { coordinator?: Coordinator } = {}
  const health = (): CoordinatorHealth | undefined => running.coordinator?.health()
  const metrics = coordinatorMetrics(health)
  const transport: Transport = webSocketTransport({
    hosts: advertise === undefined ? [] : [parseAddress(advertise).host],
    onDefect: (error) => log.error('defect', { error: String(error) }),
    http: async ({ path }) => {
      if (path === '/metrics')
        return { status: 200, contentType: metrics.contentType, body: await metrics.text() }
      if (path === '/healthz') return probe(health(), alive)
      if (path === '/readyz') return probe(health(), ready)
      return undefined
    },
  })
  const given = {
    ...(advertise === undefined ? {} : { advertise }),
    ...(sessionMs === undefined ? {} : { sessionMs }),
    ...(id === undefined ? {} : { id }),
    ...(modules === undefined ? {} : { assignorModules: modules.assignors }),
  }
  const coordinator = keep(
    await startCoordinator({
      registry,
      transport,
      clock: systemClock,
      random: systemRandom,
      log,
      listen,
      ...given,
      observe: (event) => metrics.observe(event),
      onFatal,
    }),
  )
  running.coordinator = coordinator
  return coordinator
}

type Role = CoordinatorHealth['role']

/** One that does not know who leads is on its way to: only a failed one must be started again. */
const alive: readonly Role[] = ['candidate', 'standby', 'leading']
/** A standby is ready: it answers every request with who leads. */
const ready: readonly Role[] = ['standby', 'leading']

function probe(health: CoordinatorHealth | undefined, good: readonly Role[]): HttpAnswer {
  const role = health?.role ?? 'candidate'
  const body = `${JSON.stringify({ status: role, ...health })}\n`
  const status = health !== undefined && good.includes(role) ? 200 : 503
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
