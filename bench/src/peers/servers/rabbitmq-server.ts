import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { closeAll } from '@popmq/kit'
import { freePorts } from './free-ports.ts'
import type { PeerServer } from './peer-server.ts'
import { Program } from './program.ts'

/** Where packages put the program itself: the one on the path changes to another user first. */
const rabbitmqProgram = '/usr/lib/rabbitmq/bin/rabbitmq-server'
/** Holds a folder that is named by its version. */
export const rabbitmqFolder = '/usr/lib/rabbitmq/lib'

/** RabbitMQ with all it keeps in `folder`, a name server of its own, and the protocol for streams. */
export async function startRabbitmq(folder: string): Promise<PeerServer> {
  const [port = 0, streamPort = 0, epmdPort = 0, nodePort = 0] = await freePorts(4)
  await writeSettings(folder, { port, streamPort })
  const env = environment(folder, { epmdPort, nodePort })
  // Started by us, so that it ends with us: the one that Erlang starts stays.
  const epmd = await Program.start('epmd', {
    name: 'epmd',
    args: ['-port', String(epmdPort), '-address', '127.0.0.1'],
    cwd: folder,
    ports: [epmdPort],
  })
  try {
    const rabbitmq = await Program.start(rabbitmqProgram, {
      name: 'rabbitmq-server',
      args: [],
      env,
      cwd: folder,
      ports: [port, streamPort],
    })
    return {
      address: { port, streamPort },
      lost: rabbitmq.lost,
      close: () => closeAll([epmd, rabbitmq]),
    }
  } catch (error) {
    await epmd.close()
    throw error
  }
}

async function writeSettings(
  folder: string,
  { port, streamPort }: { port: number; streamPort: number },
): Promise<void> {
  const settings = {
    'listeners.tcp.1': `127.0.0.1:${port}`,
    'stream.listeners.tcp.1': `127.0.0.1:${streamPort}`,
    'stream.advertised_host': '127.0.0.1',
    'stream.advertised_port': streamPort,
    'log.console': true,
    'log.console.level': 'error',
    'log.file': false,
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`)
  await mkdir(path.join(folder, 'mnesia'))
  await writeFile(path.join(folder, 'rabbitmq.conf'), lines.join(''))
  await writeFile(path.join(folder, 'enabled_plugins'), '[rabbitmq_stream].\n')
}

function environment(
  folder: string,
  { epmdPort, nodePort }: { epmdPort: number; nodePort: number },
): Readonly<Record<string, string>> {
  return {
    // The cookie that Erlang makes lies there.
    HOME: folder,
    ERL_EPMD_PORT: String(epmdPort),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_NODENAME: 'popmq-bench@localhost',
    RABBITMQ_DIST_PORT: String(nodePort),
    RABBITMQ_CONF_ENV_FILE: path.join(folder, 'no-such-file'),
    RABBITMQ_CONFIG_FILE: path.join(folder, 'rabbitmq.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: path.join(folder, 'enabled_plugins'),
    RABBITMQ_MNESIA_BASE: path.join(folder, 'mnesia'),
    RABBITMQ_LOG_BASE: path.join(folder, 'log'),
    RABBITMQ_PID_FILE: path.join(folder, 'pid'),
    // The script becomes the server then, so that its id is the one we know.
    RUNNING_UNDER_SYSTEMD: 'true',
    // Schedulers that have nothing to do sleep at once: while others are measured it is in nobody's way.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS:
      '-noinput +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}',
  }
}
