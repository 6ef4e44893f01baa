import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { systemRandom } from '@popmq/kit'

/** Where ports that the kernel gives to connections begin; Linux's default where there is no /proc. */
function firstEphemeralPort(): number {
  try {
    const range = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
    return Number(range.split(/\s+/)[0])
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 32_768
    throw error
  }
}

const given = new Set<number>()

/**
 * A row of `count` free ports below those that the kernel gives to outgoing connections. One of these would not do:
 * while a killed server is away, a client that dials it could be given its very port, and connect to itself.
 */
export async function freePorts(count = 1): Promise<number> {
  const low = 10_000
  const high = Math.max(low + 1_000, firstEphemeralPort() - count)
  for (;;) {
    const base = low + Math.floor(systemRandom.next() * (high - low))
    const row = Array.from({ length: count }, (_, index) => base + index)
    if (row.some((port) => given.has(port))) continue
    if (!(await Promise.all(row.map(isFree))).every(Boolean)) continue
    for (const port of row) given.add(port)
    return base
  }
}

/** @returns whether nobody listens there, on IPv4 nor on IPv6 */
async function isFree(port: number): Promise<boolean> {
  for (const host of ['127.0.0.1', '::1']) {
    const failure = await tryListen(port, host)
    if (failure !== undefined && failure !== 'EADDRNOTAVAIL' && failure !== 'EAFNOSUPPORT')
      return false
  }
  return true
}

function tryListen(port: number, host: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'unknown'))
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(undefined)))
  })
}
