import { isIP } from 'node:net'

/**
 * Who may speak to this port from a browser. A page of another site can make a browser connect to 127.0.0.1, also under
 * its own name (DNS rebinding): so the Host header must be an address, `localhost` or a name that this server was told,
 * and an Origin header, which only browsers send, must be of that same host.
 */
export interface Headers {
  readonly host?: string | undefined
  readonly origin?: string | undefined
}

export type HostVerdict = 'allowed' | 'no_host' | 'foreign_host' | 'foreign_origin'

export function checkHost({ host, origin }: Headers, names: ReadonlySet<string>): HostVerdict {
  if (host === undefined || host === '') return 'no_host'
  const name = /^(\[[0-9a-f:.]+\]|[^[\]:/\s@]+)(?::\d{1,5})?$/.exec(host.toLowerCase())?.[1]
  if (name === undefined) return 'foreign_host'
  const isAddress = isIP(name.startsWith('[') ? name.slice(1, -1) : name) !== 0
  if (!isAddress && name !== 'localhost' && !names.has(name)) return 'foreign_host'
  if (origin === undefined) return 'allowed'
  // The port counts too: another server on this machine is another origin.
  return /^https?:\/\/(.+)$/.exec(origin.toLowerCase())?.[1] === host.toLowerCase()
    ? 'allowed'
    : 'foreign_origin'
}
