/** Which versions of the peers take part, and whether they are old. */
import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import type { PeerClientName } from './clients/peer-client.ts'
import { kafkaFolder, kafkaVersion } from './kafka-jars.ts'
import { peersFolder } from './peers-folder.ts'
import type { PeerServerName } from './servers/peer-server.ts'
import { rabbitmqFolder } from './servers/rabbitmq-server.ts'

export interface ServerProgram {
  /** As its Debian package is called; Kafka has none. */
  readonly name: 'redis-server' | 'nats-server' | 'rabbitmq-server' | 'kafka'
  /** Where its version is found: in what a command says, or in the name of a folder inside another. */
  readonly version: { readonly ask: string } | { readonly folder: string }
  /** A release that is out; below it one is old. */
  readonly out: string
}

const redis: ServerProgram = { name: 'redis-server', version: { ask: 'redis-server' }, out: '8.2' }
const nats: ServerProgram = { name: 'nats-server', version: { ask: 'nats-server' }, out: '2.12' }

const kafka: ServerProgram = { name: 'kafka', version: { folder: kafkaFolder }, out: kafkaVersion }

export const serverPrograms: Readonly<Record<PeerServerName, ServerProgram>> = {
  'redis-everysec': redis,
  'redis-always': redis,
  nats,
  'nats-sync-always': nats,
  // To ask it would start Erlang's name server, which stays.
  rabbitmq: { name: 'rabbitmq-server', version: { folder: rabbitmqFolder }, out: '4.1' },
  kafka,
  'kafka-sync-always': kafka,
}

const clientPackages: Readonly<Record<PeerClientName, string>> = {
  'redis-streams': 'redis',
  jetstream: '@nats-io/jetstream',
  'jetstream-double-ack': '@nats-io/jetstream',
  'rabbitmq-queues': 'amqplib',
  'rabbitmq-streams': 'rabbitmq-stream-js-client',
  'rabbitmq-streams-amqp': 'amqplib',
  'bullmq-queues': 'bullmq',
  'kafka-topics': '@platformatic/kafka',
}

/** Undefined when the program is not there. */
export async function serverVersion({ version }: ServerProgram): Promise<string | undefined> {
  try {
    if ('folder' in version) return versionIn((await readdir(version.folder)).join(' '))
    const { stdout } = await promisify(execFile)(version.ask, ['--version'])
    return versionIn(stdout)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    throw error
  }
}

/** `nats-server 2.9.10 (old: 2.12 is out), @nats-io/jetstream 3.4.0` */
export async function versionsText(
  program: ServerProgram,
  { version, client }: { version: string; client: PeerClientName },
): Promise<string> {
  const age = isOlder(version, program.out) ? ` (old: ${program.out} is out)` : ''
  const name = clientPackages[client]
  const manifest = path.join(peersFolder, 'node_modules', name, 'package.json')
  const installed = JSON.parse(await readFile(manifest, 'utf8')) as { version: string }
  return `${program.name} ${version}${age}, ${name} ${installed.version}`
}

/** Why a client cannot speak with a server of this version, or undefined. */
export function tooOld(client: PeerClientName, version: string): string | undefined {
  if (client !== 'rabbitmq-streams' || !isOlder(version, '3.11')) return undefined
  return `its client asks the server for command versions: RabbitMQ ${version} does not know them`
}

/** The first version in a text: numbers with points between. */
export function versionIn(text: string): string | undefined {
  return /\d+(?:\.\d+)+/.exec(text)?.[0]
}

export function isOlder(version: string, other: string): boolean {
  const own = version.split('.').map(Number)
  for (const [index, number] of other.split('.').map(Number).entries()) {
    const difference = (own[index] ?? 0) - number
    if (difference !== 0) return difference < 0
  }
  return false
}
