import { freePorts } from './free-ports.ts'
import type { PeerServer } from './peer-server.ts'
import { Program } from './program.ts'

/** Redis with its append-only file in `folder`: synced each second, or before each reply. */
export async function startRedis(
  folder: string,
  appendfsync: 'everysec' | 'always',
): Promise<PeerServer> {
  const [port = 0] = await freePorts(1)
  const settings = {
    port,
    bind: '127.0.0.1',
    dir: folder,
    daemonize: 'no',
    appendonly: 'yes',
    appendfsync,
    save: '',
  }
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)])
  const name = `redis-server (${appendfsync})`
  const program = await Program.start('redis-server', { name, args, cwd: folder, ports: [port] })
  return { address: { port }, lost: program.lost, close: () => program.close() }
}
