import { deferred, type Log } from '@popmq/kit'
import type { MqError } from '@popmq/protocol'
import type { Role } from './role.ts'

export interface CoordinatorStart {
  readonly data: string
  readonly listen: string
  readonly advertise?: string
  readonly log: Log
}

/** Starts a coordinator in this process. It is loaded when it is needed: other commands start without it. */
export async function startCoordinator({
  data,
  listen,
  advertise,
  log,
}: CoordinatorStart): Promise<Role> {
  const { coordinatorProcess } = await import('@popmq/coordinator')
  const failed = deferred<MqError>()
  const advertised = advertise === undefined ? {} : { advertise }
  const process = await coordinatorProcess({
    data,
    listen,
    log,
    onFatal: failed.resolve,
    ...advertised,
  })
  return { address: process.address, failed: failed.promise, close: () => process.close() }
}
