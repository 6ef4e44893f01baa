import type { Command } from 'commander'
import type { Invocation } from '../invocation.ts'
import { drain } from '../roles/drain.ts'
import { startBroker } from '../roles/start-broker.ts'
import { type Act, asOption } from '../usage.ts'
import { wholeNumber } from '../whole-number.ts'

export function addBrokerCommand(program: Command, act: Act): void {
  program
    .command('broker')
    .description('run a broker')
    .requiredOption(
      '--id <n>',
      'its number, 1 to 65535; the same at each start',
      asOption(wholeNumber(1, 65_535)),
    )
    .requiredOption('--coordinators <host:port,…>', 'where it finds the coordinators')
    .requiredOption('--data <folder>', 'its data directory')
    .requiredOption('--listen <host:port>', 'where it listens')
    .option('--advertise <host:port>', 'where clients reach it (default: where it listens)')
    .action(act(runBroker))
}

interface BrokerFlags {
  readonly id: number
  readonly coordinators: string
  readonly data: string
  readonly listen: string
  readonly advertise?: string
}

async function runBroker(invocation: Invocation, flags: BrokerFlags): Promise<void> {
  const { output } = invocation
  const log = invocation.log('info')
  const broker = await startBroker({ ...flags, log })
  await output.object(
    { role: 'broker', id: flags.id, address: broker.address, pid: process.pid },
    () => `broker ${flags.id} listens on ${broker.address}`,
  )
  await drain([broker], { invocation, log })
}
