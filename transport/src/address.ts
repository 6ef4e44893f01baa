import { MqError } from '@popmq/protocol'

export interface Address {
  /** Name or IP address, without brackets. */
  readonly host: string
  readonly port: number
}

/** Reads `host:port` or `[ipv6]:port`. @throws MqError `invalid_config` */
export function parseAddress(address: string): Address {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^[\]:/\s]+)):(\d{1,5})$/.exec(address)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || !(port <= 65_535)) {
    throw new MqError(
      'invalid_config',
      `${JSON.stringify(address.slice(0, 300))} is not an address: write host:port`,
    )
  }
  return { host, port }
}

/** `host:port`, an IPv6 address in brackets. */
export function formatAddress({ host, port }: Address): string {
  // Joined: a sum of strings stays a tree of them, and each connection has an address.
  return [host.includes(':') ? `[${host}]` : host, port].join(':')
}
