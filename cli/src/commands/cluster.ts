import type { Command } from 'commander'
import type { Invocation } from '../invocation.ts'
import { oneLine } from '../output.ts'
import type { Act } from '../usage.ts'

export function addClusterCommands(program: Command, act: Act): void {
  const cluster = program.command('cluster').description('look at the cluster')
  cluster
    .command('status')
    .description('how much there is, and whether it is up')
    .action(act(clusterStatus))
  cluster.command('brokers').description('each broker').action(act(listBrokers))
}

async function clusterStatus(invocation: Invocation): Promise<void> {
  const client = await invocation.connect()
  const { clusterId, brokers, topics, partitions } = await client
    .admin()
    .cluster({ signal: invocation.signal })
  const alive = brokers.filter((broker) => broker.alive).length
  await invocation.output.object(
    { clusterId, brokers: brokers.length, alive, topics, partitions },
    () =>
      [
        `cluster     ${oneLine(clusterId)}`,
        `brokers     ${brokers.length}, ${alive} alive`,
        `topics      ${topics}`,
        `partitions  ${partitions}`,
      ].join('\n'),
  )
}

async function listBrokers(invocation: Invocation): Promise<void> {
  const client = await invocation.connect()
  const { brokers } = await client.admin().cluster({ signal: invocation.signal })
  await invocation.output.rows(brokers, {
    head: ['broker', 'address', 'state', 'epoch', 'set'],
    cells: ({ id, address, alive, epoch, set }) => [
      String(id),
      oneLine(address),
      alive ? 'alive' : 'gone',
      String(epoch),
      String(set),
    ],
    empty: 'no brokers yet: popmq broker --id 1 …',
  })
}
