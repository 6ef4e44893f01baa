import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { MqError } from '@popmq/client'
import { freePorts } from './free-ports.ts'
import type { PeerServer } from './peer-server.ts'
import { Program } from './program.ts'

/**
 * NATS with JetStream on files in `folder`: synced every two minutes, its default, or before each ack.
 * @throws MqError `unreachable` when this version of it knows no such setting
 */
export async function startNats(
  folder: string,
  { isSyncedAlways }: { isSyncedAlways: boolean },
): Promise<PeerServer> {
  const [port = 0] = await freePorts(1)
  const config = path.join(folder, 'nats.conf')
  const sync = isSyncedAlways ? 'sync_interval: always' : ''
  const lines = [
    'host: 127.0.0.1',
    `port: ${port}`,
    'jetstream {',
    `  store_dir: ${JSON.stringify(path.join(folder, 'jetstream'))}`,
    `  ${sync}`,
    '}',
  ]
  await writeFile(config, `${lines.join('\n')}\n`)
  if (isSyncedAlways) await checkConfig(config)
  const args = ['--config', config]
  const program = await Program.start('nats-server', {
    name: 'nats-server',
    args,
    cwd: folder,
    ports: [port],
  })
  return { address: { port }, lost: program.lost, close: () => program.close() }
}

async function checkConfig(config: string): Promise<void> {
  try {
    await promisify(execFile)('nats-server', ['-t', '--config', config])
  } catch (error) {
    throw new MqError('unreachable', 'this nats-server has no sync_interval (2.10 brought it)', {
      cause: error,
    })
  }
}
