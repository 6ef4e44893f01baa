import type { Command } from 'commander'
import type { Invocation } from '../invocation.ts'
import { drain } from '../roles/drain.ts'
import { startCoordinator } from '../roles/start-coordinator.ts'
import { type Act, asOption } from '../usage.ts'
import { wholeNumber } from '../whole-number.ts'

export function addCoordinatorCommand(program: Command, act: Act): void {
  program
    .command('coordinator')
    .description('run a coordinator with its registry in a data directory')
    .requiredOption('--id <n>', 'its number, 1 to 65535', asOption(wholeNumber(1, 65_535)))
    .requiredOption('--listen <host:port>', 'where it listens')
    .requiredOption('--data <folder>', 'its data directory')
    .option('--advertise <host:port>', 'where others reach it (default: where it listens)')
    .action(act(runCoordinator))
}

interface CoordinatorFlags {
  readonly id: number
  readonly listen: string
  readonly data: string
  readonly advertise?: string
}

async function runCoordinator(invocation: Invocation, flags: CoordinatorFlags): Promise<void> {
  const { output } = invocation
  const log = invocation.log('info')
  const { id, ...options } = flags
  const coordinator = await startCoordinator({ ...options, log })
  await output.object(
    { role: 'coordinator', id, address: coordinator.address, pid: process.pid },
    () => `coordinator ${id} listens on ${coordinator.address}`,
  )
  await drain([coordinator], { invocation, log })
}
