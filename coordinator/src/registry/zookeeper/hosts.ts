import { MqError } from '@popmq/protocol'
import { checkPath } from '../../core/registry-port.ts'

export interface ZookeeperServer {
  readonly host: string
  readonly port: number
}

export interface ZookeeperHosts {
  readonly servers: readonly ZookeeperServer[]
  /** The node that is the registry's root, `''` for ZooKeeper's own. */
  readonly chroot: string
}

const defaultPort = 2_181
const serverPattern =
  /^(?:\[(?<address>[0-9A-Fa-f:.%\w]+)\]|(?<name>[^\s:[\]/,]+))(?::(?<port>\d{1,5}))?$/

/**
 * Reads `host:port,host:port/chroot`. An IPv6 address stands in brackets; without a port it is 2181.
 * @throws MqError `invalid_config`
 */
export function parseHosts(text: string): ZookeeperHosts {
  const slash = text.indexOf('/')
  const list = slash === -1 ? text : text.slice(0, slash)
  const chroot = slash === -1 ? '' : text.slice(slash).replace(/\/$/, '')
  try {
    if (chroot !== '') checkPath(chroot)
  } catch (cause) {
    throw new MqError('invalid_config', `the ZooKeeper path ${chroot} is not /name/name`, { cause })
  }
  return { servers: list.split(',').map(parseServer), chroot }
}

function parseServer(text: string): ZookeeperServer {
  const found = serverPattern.exec(text.trim())?.groups
  const host = found?.['address'] ?? found?.['name']
  const port = Number(found?.['port'] ?? defaultPort)
  if (host === undefined || port < 1 || port > 65_535) {
    throw new MqError(
      'invalid_config',
      `ZooKeeper hosts are host:port,host:port/path, got ${JSON.stringify(text)}`,
    )
  }
  return { host, port }
}

/** host:port, for people. */
export function serverName({ host, port }: ZookeeperServer): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
