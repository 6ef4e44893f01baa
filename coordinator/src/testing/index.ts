export { FaultProxy } from '../registry/testing/fault-proxy.ts'
export { TestZookeeperEnsemble } from '../registry/testing/zookeeper-ensemble.ts'
export { type ServerOptions, TestZookeeperServer } from '../registry/testing/zookeeper-server.ts'
