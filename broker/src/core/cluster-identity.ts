import { readWhole, replaceFile, type Storage } from '@popmq/kit'
import { MqError } from '@popmq/protocol'

/** Whose data this is: written once, before the first record. */
export interface ClusterIdentity {
  readonly clusterId: string
  readonly setId: number
}

const path = 'cluster.json'

/** @returns undefined while the directory is empty. @throws MqError `data_directory_invalid` */
export async function readIdentity(storage: Storage): Promise<ClusterIdentity | undefined> {
  const bytes = await readWhole(storage, path)
  if (bytes === undefined) return undefined
  try {
    const { clusterId, setId } = JSON.parse(
      new TextDecoder().decode(bytes),
    ) as Partial<ClusterIdentity>
    if (typeof clusterId === 'string' && typeof setId === 'number') return { clusterId, setId }
  } catch (cause) {
    throw new MqError('data_directory_invalid', `${path} cannot be read`, { cause })
  }
  throw new MqError('data_directory_invalid', `${path} does not name a cluster and a replica set`)
}

/**
 * Checks that the data is this cluster's, or marks empty data as its own.
 * @throws MqError `foreign_cluster`, `data_directory_invalid`
 */
export async function claimIdentity(
  storage: Storage,
  { clusterId, setId }: ClusterIdentity,
): Promise<void> {
  const identity = { clusterId, setId }
  const present = await readIdentity(storage)
  if (present === undefined)
    return replaceFile(storage, path, new TextEncoder().encode(`${JSON.stringify(identity)}\n`))
  if (present.clusterId !== identity.clusterId || present.setId !== identity.setId) {
    throw new MqError(
      'foreign_cluster',
      `the data belongs to set ${present.setId} of cluster ${present.clusterId}, not to set ${identity.setId} of ${identity.clusterId}`,
    )
  }
}
