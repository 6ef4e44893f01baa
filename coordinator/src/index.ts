export {
  Coordinator,
  type CoordinatorHealth,
  type CoordinatorOptions,
  startCoordinator,
} from './coordinator.ts'
export {
  coordinatorProcess,
  type CoordinatorProcess,
  type CoordinatorProcessOptions,
  type RegistryPlace,
} from './coordinator-process.ts'
export type { Registry, RegistrySession } from './core/registry-port.ts'
export { EmbeddedRegistry, type EmbeddedRegistryOptions } from './registry/embedded-registry.ts'
export {
  type CommitFault,
  MemoryRegistry,
  type MemoryRegistryOptions,
} from './registry/memory-registry.ts'
export {
  ZookeeperRegistry,
  type ZookeeperRegistryOptions,
} from './registry/zookeeper/zookeeper-registry.ts'
