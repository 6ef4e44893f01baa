import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { sleep, systemClock, systemRandom } from '@popmq/kit'

const jar = '/usr/share/java/zookeeper.jar'

export interface ServerOptions {
  /** Lines of its configuration file beside those that every server has. */
  readonly config?: readonly string[]
  /** System properties. */
  readonly properties?: readonly string[]
  readonly port?: number
  /** Its number in an ensemble. */
  readonly id?: number
  /** Sessions live 2 to 20 of these. */
  readonly tickMs?: number
}

/** A real ZooKeeper server on a free port of this machine, with a directory of its own that goes with it. */
export class TestZookeeperServer {
  readonly port: number
  readonly #folder: string
  readonly #properties: readonly string[]
  #child: ChildProcess | undefined
  #javaPid = 0

  private constructor(folder: string, port: number, properties: readonly string[]) {
    this.#folder = folder
    this.port = port
    this.#properties = properties
  }

  /** Writes its files and starts it. It may not serve yet: `ready` tells. */
  static async start(options: ServerOptions = {}): Promise<TestZookeeperServer> {
    checkInstalled()
    const { config = [], properties = [], id, tickMs = 500 } = options
    const [port = 0] = options.port === undefined ? await freePorts(1) : [options.port]
    const folder = await mkdtemp(path.join(tmpdir(), 'popmq-zookeeper-'))
    await mkdir(path.join(folder, 'data'))
    if (id !== undefined) await writeFile(path.join(folder, 'data', 'myid'), `${id}`)
    const lines = [
      `dataDir=${path.join(folder, 'data')}`,
      `clientPort=${port}`,
      'clientPortAddress=127.0.0.1',
      `tickTime=${tickMs}`,
      // The ports for people would be the same for every server.
      'admin.enableServer=false',
      '4lw.commands.whitelist=srvr',
      'maxClientCnxns=0',
      ...config,
    ]
    await writeFile(path.join(folder, 'zookeeper.cfg'), `${lines.join('\n')}\n`)
    const server = new TestZookeeperServer(folder, port, properties)
    await server.launch()
    return server
  }

  get hosts(): string {
    return `127.0.0.1:${this.port}`
  }

  /** Starts it again after `kill`, on the same port with the same data. */
  async launch(): Promise<void> {
    const flags = ['-Xmx96m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', ...this.#properties]
    const main = 'org.apache.zookeeper.server.quorum.QuorumPeerMain'
    const file = path.join(this.#folder, 'zookeeper.cfg')
    const child = spawn('sh', ['-c', keeper, 'sh', ...flags, '-cp', jar, main, file], {
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    this.#child = child
    child.on('error', fail)
    child.stdin.on('error', fail)
    child.stdout.on('error', fail)
    const [first] = (await once(child.stdout, 'data')) as [Buffer]
    this.#javaPid = Number(first.toString())
  }

  /** Waits until it serves clients. */
  async ready(): Promise<void> {
    while ((await this.mode()) === undefined) {
      if (this.#child?.exitCode !== null)
        throw new Error(`the ZooKeeper server at port ${this.port} did not start`)
      await sleep(systemClock, 20)
    }
  }

  /** `standalone`, `leader` or `follower`; undefined while it does not serve. */
  async mode(): Promise<string | undefined> {
    return /^Mode: (\w+)$/m.exec(await ask(this.port, 'srvr'))?.[1]
  }

  /** As by kill −9. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** Stops the process where it stands: connections stay open, and nothing is answered. */
  pause(): void {
    process.kill(this.#javaPid, 'SIGSTOP')
  }

  resume(): void {
    process.kill(this.#javaPid, 'SIGCONT')
  }

  /** Takes all data of a killed server. */
  async wipe(): Promise<void> {
    await rm(path.join(this.#folder, 'data', 'version-2'), { recursive: true })
  }

  /** Copies the data of a killed server, for `restore`. */
  async save(): Promise<void> {
    await cp(path.join(this.#folder, 'data'), path.join(this.#folder, 'saved'), { recursive: true })
  }

  /** Gives a killed server what was saved, in place of what it has. */
  async restore(): Promise<void> {
    await this.wipe()
    await cp(path.join(this.#folder, 'saved'), path.join(this.#folder, 'data'), { recursive: true })
  }

  async stop(): Promise<void> {
    await this.#end('SIGKILL')
    await rm(this.#folder, { recursive: true, force: true })
  }

  async #end(signal: 'SIGKILL'): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    this.#child = undefined
    const ended = once(child, 'exit')
    process.kill(this.#javaPid, signal)
    await ended
    child.stdin?.destroy()
    child.stdout?.destroy()
  }
}

/** Tells the pid of java, and kills it when our end of the pipe closes: a server must not outlive a killed test. */
const keeper = `
exec 3<&0
java "$@" </dev/null >/dev/null 2>&1 &
pid=$!
echo $pid
(cat <&3 >/dev/null; kill -9 $pid 2>/dev/null) >/dev/null &
exec 3<&-
wait $pid
`

function fail(error: Error): never {
  throw error
}

/** @throws Error which names the packages */
export function checkInstalled(file = jar): void {
  const hasJava = spawnSync('java', ['-version'], { stdio: 'ignore' }).error === undefined
  if (hasJava && existsSync(file)) return
  throw new Error(
    `this test needs ZooKeeper: java (Debian package default-jre-headless) and ${file} (libzookeeper-java); npm test installs them`,
  )
}

const given = new Set<number>()

/**
 * Ports that nobody listens on, all different, below those that the kernel gives to outgoing connections: while a killed
 * server is away, whoever dials one of these could be given that very port, and connect to itself.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  while (ports.length < count) {
    const port = 10_000 + Math.floor(systemRandom.next() * 22_000)
    if (given.has(port) || !(await isFree(port))) continue
    given.add(port)
    ports.push(port)
  }
  return ports
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer().on('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      server.close(() => resolve(true))
    })
  })
}

/**
 * The answer to a command of four letters; what a server that is not there says is nothing. One that takes the question
 * while it starts may never answer it.
 */
function ask(port: number, command: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = ''
    const socket = net.connect(port, '127.0.0.1', () => socket.end(command))
    socket.on('data', (chunk) => (answer += chunk.toString()))
    socket.setTimeout(500, () => socket.destroy())
    socket.on('error', () => socket.destroy())
    socket.on('close', () => resolve(answer))
  })
}
