import { Command } from 'commander'
import { addBenchCommand } from './commands/bench.ts'
import { addBrokerCommand } from './commands/broker.ts'
import { addClusterCommands } from './commands/cluster.ts'
import { addConsumeCommand } from './commands/consume.ts'
import { addCoordinatorCommand } from './commands/coordinator.ts'
import { addDelayCommands } from './commands/delay.ts'
import { addDevCommand } from './commands/dev.ts'
import { addDlqCommands } from './commands/dlq.ts'
import { addDoctorCommand } from './commands/doctor.ts'
import { addGroupCommands } from './commands/group.ts'
import { addInflightCommands } from './commands/inflight.ts'
import { addMessageCommands } from './commands/message.ts'
import { addPopCommand } from './commands/pop.ts'
import { addProduceCommand } from './commands/produce.ts'
import { addRetryCommands } from './commands/retry.ts'
import { addTopicCommands } from './commands/topic.ts'
import { addWorkCommand } from './commands/work.ts'
import { type Act, asOption } from './usage.ts'
import { type CommonFlags, parseLogLevel } from './settings.ts'

/** The whole tree of commands. `act` is told the common flags when one is run. */
export function commandTree(version: string, act: (flags: () => CommonFlags) => Act): Command {
  const program = new Command('popmq')
  program
    .description(
      'PopMQ: a message queue of pull and pop, with retries and dead letters that can be seen',
    )
    .version(version)
    .option('--server <host:port,…>', 'coordinators (POPMQ_SERVER; default localhost:7700)')
    .option('--json', 'one JSON object per line on stdout, nothing else there')
    .option('--log-level <level>', 'silent, error, warn, info or debug', asOption(parseLogLevel))
    .option('--config <file>', 'settings: {"server": …, "logLevel": …} (default ./popmq.json)')
    .configureHelp({ showGlobalOptions: true })
  const action = act(() => program.opts<CommonFlags>())
  addDevCommand(program, action)
  addBrokerCommand(program, action)
  addCoordinatorCommand(program, action)
  addTopicCommands(program, action)
  addProduceCommand(program, action)
  addConsumeCommand(program, action)
  addPopCommand(program, action)
  addWorkCommand(program, action)
  addGroupCommands(program, action)
  addInflightCommands(program, action)
  addRetryCommands(program, action)
  addDelayCommands(program, action)
  addDlqCommands(program, action)
  addMessageCommands(program, action)
  addClusterCommands(program, action)
  addBenchCommand(program, action)
  addDoctorCommand(program, action)
  return program
}
