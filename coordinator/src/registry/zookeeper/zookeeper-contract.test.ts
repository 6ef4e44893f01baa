import { after } from 'node:test'
import { present } from '@popmq/kit'
import type { RegistrySession } from '../../core/registry-port.ts'
import { FaultProxy } from '../testing/fault-proxy.ts'
import { registryContract } from '../testing/registry-contract.ts'
import { expireSession } from '../testing/zookeeper-expiry.ts'
import { TestZookeeperServer } from '../testing/zookeeper-server.ts'
import { testRegistry } from '../testing/zookeeper-world.ts'

const server = await TestZookeeperServer.start()
await server.ready()
const proxy = await FaultProxy.start(server.port)
after(async () => {
  await proxy.close()
  await server.stop()
})

registryContract('zookeeper, one server', async () => {
  const registry = testRegistry(proxy.hosts)
  const handshakes = new Map<RegistrySession, Buffer>()
  return {
    async openSession(lost) {
      const session = await registry.openSession(lost)
      handshakes.set(session, present(proxy.handshakes.at(-1), 'the handshake passed the proxy'))
      return session
    },
    expire: (session) =>
      expireSession(server.port, present(handshakes.get(session), 'it was opened here')),
    close: () => registry.close(),
  }
})
