import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { MqError } from '@popmq/client'
import { type Machine, thisMachine } from '../machine.ts'
import { type ClusterRequest, withCluster } from '../measured-cluster.ts'
import { whyNoUsage } from '../process-usage.ts'
import { profileFlags, type Profiled, readProfiles } from '../profiled.ts'
import { type DevStart, measureDev } from './dev-start.ts'
import { checkOpenFiles, type Footprint, IdleRoles } from './idle-roles.ts'
import { type IdleRun, type IdleSettings, runIdle } from './idle-run.ts'

export interface IdleBenchRequest extends Omit<ClusterRequest, 'servers'>, IdleSettings {}

export interface IdleBenchReport extends IdleRun {
  readonly workload: 'idle'
  readonly settings: IdleSettings
  readonly machine: Machine
  readonly dataFolder: string
  readonly dev: DevStart
  /**
   * Bytes of the broker for each connection, each waiting fetch, each waiting pop; and for each connection of the later
   * half: the first ones have the young generation of the heap grow to its full size, once.
   */
  readonly perConnection: Footprint
  readonly perLaterConnection: Footprint
  readonly perFetch: Footprint
  readonly perPop: Footprint
  readonly profiles: readonly Profiled[]
}

/**
 * Measures what the product costs while nothing happens.
 * @throws MqError `aborted`, `invalid_request` when the system allows fewer open files, `unreachable` where it does not
 * tell what processes use, and what `runIdle` throws
 */
export async function runIdleBench(request: IdleBenchRequest): Promise<IdleBenchReport> {
  const startedAt = Date.now()
  const why = whyNoUsage()
  if (why !== undefined) throw new MqError('unreachable', why)
  const { popmq, connections, polls, idleMs, pollMs } = request
  checkOpenFiles(connections)
  const nodeFlags = profileFlags(request.profiles)
  const data = await mkdtemp(path.join(request.data ?? tmpdir(), 'popmq-bench-'))
  try {
    const dev = await measureDev({ popmq, data, idleMs })
    if (request.signal.aborted) throw new MqError('aborted', 'the measurement was stopped')
    const run = await measureRoles(request, { popmq, data, nodeFlags })
    const { alone, half, connected, fetching, polling } = run.footprints
    return {
      workload: 'idle',
      settings: { connections, polls, idleMs, pollMs },
      machine: thisMachine(),
      dataFolder: request.data ?? tmpdir(),
      dev,
      ...run,
      perConnection: growthPer(connections, { from: alone, to: connected }),
      perLaterConnection: growthPer(Math.ceil(connections / 2), { from: half, to: connected }),
      perFetch: growthPer(run.fetches, { from: connected, to: fetching }),
      perPop: growthPer(run.pops, { from: fetching, to: polling }),
      profiles: readProfiles(request.profiles, { startedAt }),
    }
  } finally {
    await rm(data, { recursive: true, force: true })
  }
}

async function measureRoles(
  request: IdleBenchRequest,
  options: Parameters<typeof IdleRoles.start>[0],
): Promise<IdleRun> {
  const roles = await IdleRoles.start(options)
  try {
    const { servers } = roles
    return await withCluster({ ...request, servers }, async (cluster) => {
      const first = await Promise.race([runIdle(request, { cluster, roles }), roles.lost])
      if (first instanceof MqError) throw first
      return first
    })
  } finally {
    await roles.close()
  }
}

/** Bytes for each of `count`. */
export function growthPer(
  count: number,
  { from, to }: { from: Footprint; to: Footprint },
): Footprint {
  const each = Math.max(1, count)
  return {
    rssBytes: Math.round((to.rssBytes - from.rssBytes) / each),
    usedBytes: Math.round((to.usedBytes - from.usedBytes) / each),
  }
}
