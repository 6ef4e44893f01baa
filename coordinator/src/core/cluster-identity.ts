import { type Clock, type Random, sleep } from '@popmq/kit'
import { MqError } from '@popmq/protocol'
import type { RegistryNode, RegistrySession } from './registry-port.ts'
import { clusterValue, decodeValue, encodeValue, layoutFormat, paths } from './registry-values.ts'

interface Founder {
  readonly session: Pick<RegistrySession, 'read' | 'commit'>
  readonly clock: Clock
  readonly random: Random
}

const tries = 10
const firstPauseMs = 50

/** Finds the cluster, or makes it; of two coordinators that make one at once, one finds that of the other. */
export async function openCluster({ session, clock, random }: Founder): Promise<string> {
  const clusterId = randomName(random)
  const counters = { topicId: 0, setId: 0, epoch: 0, producerId: 0, version: 0 }
  for (let tried = 0; tried < tries; tried += 1) {
    if (tried > 1) await sleep(clock, firstPauseMs * tried)
    const found = await readClusterId(session)
    if (found !== undefined) return found
    await session.commit([
      {
        kind: 'create',
        path: paths.cluster,
        value: encodeValue({ format: layoutFormat, clusterId }),
      },
      {
        kind: 'create',
        path: paths.leader,
        value: encodeValue({ coordinator: 'none', term: 'none' }),
      },
      {
        kind: 'create',
        path: paths.counters,
        value: encodeValue({ leader: 1, write: 0, ...counters }),
      },
      { kind: 'create', path: paths.brokers, value: new Uint8Array(0) },
      { kind: 'create', path: paths.topics, value: new Uint8Array(0) },
    ])
  }
  throw new MqError('registry_unavailable', 'the registry did not take the new cluster')
}

/** @returns undefined while there is no cluster. @throws MqError `newer_format`, `registry_unavailable` */
export async function readClusterId(
  session: Pick<RegistrySession, 'read'>,
): Promise<string | undefined> {
  const node = await session.read(paths.cluster)
  return node === undefined ? undefined : readCluster(node)
}

function readCluster(node: RegistryNode): string {
  const { format, clusterId } = decodeValue(clusterValue, paths.cluster, node)
  if (format <= layoutFormat) return clusterId
  throw new MqError(
    'newer_format',
    `the registry has layout ${format}, this version knows up to ${layoutFormat}`,
    {
      facts: { found: format, known: layoutFormat },
    },
  )
}

/** Random text that nobody else has. */
export function randomName(random: Random): string {
  const bytes = random.fill(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
