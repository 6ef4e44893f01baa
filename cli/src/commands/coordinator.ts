import type { Command } from 'commander'
import type { Invocation } from '../invocation.ts'
import { drain } from '../roles/drain.ts'
import { zookeeperPlace } from '../roles/registry-place.ts'
import { type CoordinatorStart, startCoordinator } from '../roles/start-coordinator.ts'
import { type Act, asOption, wrongUsage } from '../usage.ts'
import { wholeNumber } from '../whole-number.ts'

export function addCoordinatorCommand(program: Command, act: Act): void {
  program
    .command('coordinator')
    .description('run a coordinator: several over one ZooKeeper, or one alone on a data directory')
    .requiredOption('--id <n>', 'its number, 1 to 65535', asOption(wholeNumber(1, 65_535)))
    .requiredOption('--listen <host:port>', 'where it listens')
    .option(
      '--zookeeper <host:port,…>',
      'the ZooKeeper that the coordinators share; /path behind it (POPMQ_ZOOKEEPER_AUTH: user:password)',
    )
    .option('--data <folder>', 'its data directory, when it is the only coordinator')
    .option('--advertise <host:port>', 'where others reach it (default: where it listens)')
    .option('--assignors <folder>', 'assignors of your own: NAME.mjs for groups with assignor=NAME')
    .action(act(runCoordinator))
}

interface CoordinatorFlags {
  readonly id: number
  readonly listen: string
  readonly data?: string
  readonly zookeeper?: string
  readonly advertise?: string
  readonly assignors?: string
}

async function runCoordinator(invocation: Invocation, flags: CoordinatorFlags): Promise<void> {
  const { output } = invocation
  const log = invocation.log('info')
  const { id, data, zookeeper, ...options } = flags
  const registry = registryOf({ data, zookeeper }, invocation.surroundings.environment)
  const coordinator = await startCoordinator({ ...options, id, registry, log })
  await output.object(
    { role: 'coordinator', id, address: coordinator.address, pid: process.pid },
    () => `coordinator ${id} listens on ${coordinator.address}`,
  )
  await drain([coordinator], { invocation, log })
}

/** @throws wrong usage unless exactly one is given */
function registryOf(
  { data, zookeeper }: { data: string | undefined; zookeeper: string | undefined },
  environment: Readonly<Record<string, string | undefined>>,
): CoordinatorStart['registry'] {
  if (data !== undefined && zookeeper === undefined) return { data }
  if (zookeeper !== undefined && data === undefined) return zookeeperPlace(zookeeper, environment)
  throw wrongUsage('give --zookeeper or --data: one of the two')
}
