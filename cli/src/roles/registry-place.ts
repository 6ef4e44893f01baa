import type { CoordinatorStart } from './start-coordinator.ts'

/** Where the registry is, at a ZooKeeper: who signs in is told by the environment, for flags are seen by everybody. */
export function zookeeperPlace(
  zookeeper: string,
  environment: Readonly<Record<string, string | undefined>>,
): CoordinatorStart['registry'] {
  const auth = environment['POPMQ_ZOOKEEPER_AUTH']
  return auth === undefined || auth === '' ? { zookeeper } : { zookeeper, auth }
}
