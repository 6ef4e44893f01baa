import type { Log } from '@popmq/kit'
import type { Role } from './role.ts'

export interface CoordinatorStart {
  readonly id: number
  readonly data: string
  readonly listen: string
  readonly advertise?: string
  readonly log: Log
}

/** Starts a coordinator in this process. It is loaded when it is needed: other commands start without it. */
export async function startCoordinator({ id, data, listen, advertise, log }: CoordinatorStart): Promise<Role> {
  const { coordinatorProcess } = await import('@popmq/coordinator')
  const advertised = advertise === undefined ? {} : { advertise }
  return coordinatorProcess({ id, data, listen, log, ...advertised })
}
