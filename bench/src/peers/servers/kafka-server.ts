import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { MqError } from '@popmq/client'
import { kafkaJars } from '../kafka-jars.ts'
import { freePorts } from './free-ports.ts'
import type { PeerServer } from './peer-server.ts'
import { Program } from './program.ts'

/** What its own start script gives to Java. */
const javaFlags = [
  '-Xms1g',
  '-Xmx1g',
  '-server',
  '-XX:+UseG1GC',
  '-XX:MaxGCPauseMillis=20',
  '-XX:InitiatingHeapOccupancyPercent=35',
  '-XX:+ExplicitGCInvokesConcurrent',
  '-Djava.awt.headless=true',
]
/** 16 bytes, as it has to be. */
const clusterId = Buffer.from('popmq-bench-peer').toString('base64url')
const classes = ['-cp', path.join(kafkaJars, '*')]

/**
 * Kafka as one node that is broker and controller, all it keeps in `folder`: the system writes when it likes, its
 * default, or each append is synced before it is answered.
 */
export async function startKafka(
  folder: string,
  { isSyncedAlways }: { isSyncedAlways: boolean },
): Promise<PeerServer> {
  const [port = 0, controllerPort = 0] = await freePorts(2)
  const config = path.join(folder, 'server.properties')
  const settings = settingsOf(path.join(folder, 'log'), { port, controllerPort })
  if (isSyncedAlways) settings['log.flush.interval.messages'] = 1
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`)
  await writeFile(config, lines.join(''))
  await format(config, folder)
  const program = await Program.start('java', {
    name: 'kafka',
    args: [...javaFlags, ...classes, 'kafka.Kafka', config],
    cwd: folder,
    ports: [port],
  })
  return { address: { port }, lost: program.lost, close: () => program.close() }
}

function settingsOf(
  folder: string,
  { port, controllerPort }: { port: number; controllerPort: number },
): Record<string, string | number> {
  return {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'controller.listener.names': 'CONTROLLER',
    'log.dirs': folder,
    'auto.create.topics.enable': 'false',
    // There is one broker, and one consumer in a group: nothing is waited for.
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 1,
    'group.initial.rebalance.delay.ms': 0,
    // A batch of large values is one request.
    'message.max.bytes': 100_000_000,
    // What a run stored is gone when the next one is measured.
    'log.segment.delete.delay.ms': 1_000,
  }
}

/** @throws MqError `unreachable` */
async function format(config: string, cwd: string): Promise<void> {
  const args = ['-Xmx256m', ...classes, 'kafka.tools.StorageTool', 'format', '-t', clusterId]
  try {
    await promisify(execFile)('java', [...args, '-c', config], { cwd })
  } catch (error) {
    throw new MqError('unreachable', 'the storage of kafka could not be formatted', {
      cause: error,
    })
  }
}
