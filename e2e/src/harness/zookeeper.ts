import { TestZookeeperEnsemble, TestZookeeperServer } from '@popmq/coordinator/testing'
import type { Scene } from './scenario.ts'

/** One real ZooKeeper server that goes with the scene. */
export async function zookeeperServer(scene: Scene): Promise<TestZookeeperServer> {
  const server = await TestZookeeperServer.start()
  scene.keep({ close: () => server.stop() })
  await server.ready()
  return server
}

/** Three real ZooKeeper servers that go with the scene. */
export async function zookeeperEnsemble(scene: Scene): Promise<TestZookeeperEnsemble> {
  const ensemble = await TestZookeeperEnsemble.start()
  scene.keep({ close: () => ensemble.stop() })
  return ensemble
}
