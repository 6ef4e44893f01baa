import type { Command } from 'commander'
import type { Finding } from '../doctor/finding.ts'
import { clockCheck, fileLimitCheck, nodeCheck, threadPoolCheck } from '../doctor/machine.ts'
import { diskChecks } from '../doctor/disk.ts'
import type { Invocation } from '../invocation.ts'
import { oneLine } from '../output.ts'
import { type Act, asOption } from '../usage.ts'
import { wholeNumber } from '../whole-number.ts'

export function addDoctorCommand(program: Command, act: Act): void {
  program
    .command('doctor')
    .description('check this machine and, where it runs, the cluster')
    .option('--data <folder>', 'the data directory whose disk is measured', './data')
    .option('--port-base <port>', 'the ports of popmq dev', asOption(wholeNumber(1, 65_435)), 7700)
    .option(
      '--syncs <n>',
      'how many writes are synced to measure the disk',
      asOption(wholeNumber(1, 10_000)),
      100,
    )
    .action(act(doctor))
}

interface DoctorFlags {
  readonly data: string
  readonly portBase: number
  readonly syncs: number
}

/** Prints a line per check; ends with 1 when one is not well. */
async function doctor(
  invocation: Invocation,
  { data, portBase, syncs }: DoctorFlags,
): Promise<void> {
  const { clock } = invocation
  const checks: (() => Promise<readonly Finding[]>)[] = [
    async () => [nodeCheck(process.versions.node), fileLimitCheck(), threadPoolCheck()],
    async () => [await clockCheck(clock)],
    () => diskChecks({ folder: data, syncs, clock }),
    // These two load the transport.
    async () => (await import('../doctor/ports.ts')).portChecks(portBase, clock),
    async () => (await import('../doctor/addresses.ts')).addressChecks(invocation),
  ]
  for (const check of checks) {
    for (const finding of await check()) await print(invocation, finding)
  }
}

async function print(invocation: Invocation, finding: Finding): Promise<void> {
  const { check, ok, what, mend } = finding
  if (!ok) invocation.fail()
  await invocation.output.object({ check, ok, what, mend: mend ?? null }, () => {
    const advice = mend === undefined ? '' : ` (${mend})`
    return oneLine(`${ok ? 'ok ' : 'BAD'}  ${check.padEnd(20)} ${what}${advice}`)
  })
}
