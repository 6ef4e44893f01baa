import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { startKafka } from './kafka-server.ts'
import { startNats } from './nats-server.ts'
import type { PeerServer, PeerServerName } from './peer-server.ts'
import { startRabbitmq } from './rabbitmq-server.ts'
import { startRedis } from './redis-server.ts'

/** Starts a server on free ports, with a folder of its own in `data`. */
export async function startServer(name: PeerServerName, data: string): Promise<PeerServer> {
  const folder = path.join(data, name)
  await mkdir(folder)
  switch (name) {
    case 'redis-everysec':
      return startRedis(folder, 'everysec')
    case 'redis-always':
      return startRedis(folder, 'always')
    case 'nats':
      return startNats(folder, { isSyncedAlways: false })
    case 'nats-sync-always':
      return startNats(folder, { isSyncedAlways: true })
    case 'rabbitmq':
      return startRabbitmq(folder)
    case 'kafka':
      return startKafka(folder, { isSyncedAlways: false })
    case 'kafka-sync-always':
      return startKafka(folder, { isSyncedAlways: true })
    default:
      return name satisfies never
  }
}
