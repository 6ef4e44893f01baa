import type { Log } from '@popmq/kit'
import type { Role } from './role.ts'

export interface BrokerStart {
  readonly id: number
  /** host:port[,host:port…] */
  readonly coordinators: string
  readonly data: string
  readonly listen: string
  readonly advertise?: string
  readonly log: Log
}

/** Starts a broker in this process. It is loaded when it is needed: other commands start without it. */
export async function startBroker({
  id,
  coordinators,
  data,
  listen,
  advertise,
  log,
}: BrokerStart): Promise<Role> {
  const { brokerProcess } = await import('@popmq/broker')
  const advertised = advertise === undefined ? {} : { advertise }
  return brokerProcess({ id, coordinators, data, listen, log, ...advertised })
}
