import { sleep, systemClock } from '@popmq/kit'
import { freePorts, TestZookeeperServer } from './zookeeper-server.ts'

/** Three real ZooKeeper servers on this machine, one of which leads. */
export class TestZookeeperEnsemble {
  readonly #servers: readonly TestZookeeperServer[]

  private constructor(servers: readonly TestZookeeperServer[]) {
    this.#servers = servers
  }

  static async start(): Promise<TestZookeeperEnsemble> {
    const ports = await freePorts(9)
    const members = [1, 2, 3].map((id) => ({ id, ports: ports.slice(id * 3 - 3, id * 3) }))
    const config = [
      'initLimit=50',
      'syncLimit=20',
      ...members.map(
        ({ id, ports: [, peer, election] }) => `server.${id}=127.0.0.1:${peer}:${election}`,
      ),
    ]
    const servers = await Promise.all(
      members.map(({ id, ports: [port = 0] }) =>
        TestZookeeperServer.start({ id, port, config, tickMs: 300 }),
      ),
    )
    const ensemble = new TestZookeeperEnsemble(servers)
    await Promise.all(servers.map((server) => server.ready()))
    return ensemble
  }

  get hosts(): string {
    return this.#servers.map(({ hosts }) => hosts).join(',')
  }

  async leader(): Promise<TestZookeeperServer> {
    for (;;) {
      for (const server of this.#servers) if ((await server.mode()) === 'leader') return server
      await sleep(systemClock, 20)
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.stop()))
  }
}
