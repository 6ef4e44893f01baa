import { deferred, type Log } from '@popmq/kit'
import type { MqError } from '@popmq/protocol'
import type { Role } from './role.ts'

export interface CoordinatorStart {
  readonly id: number
  /** A data directory of its own, or the hosts of a ZooKeeper that coordinators share, `auth` being `user:password`. */
  readonly registry:
    | { readonly data: string }
    | { readonly zookeeper: string; readonly auth?: string }
  readonly listen: string
  readonly advertise?: string
  /** A folder of assignors that users brought. */
  readonly assignors?: string
  readonly log: Log
}

/** Starts a coordinator in this process. It is loaded when it is needed: other commands start without it. */
export async function startCoordinator({
  id,
  registry,
  listen,
  advertise,
  assignors,
  log,
}: CoordinatorStart): Promise<Role> {
  const { coordinatorProcess } = await import('@popmq/coordinator')
  const failed = deferred<MqError>()
  const given = {
    ...(advertise === undefined ? {} : { advertise }),
    ...(assignors === undefined ? {} : { assignors }),
  }
  const process = await coordinatorProcess({
    id,
    registry,
    listen,
    log,
    onFatal: failed.resolve,
    ...given,
  })
  return { address: process.address, failed: failed.promise, close: () => process.close() }
}
