import type { Command } from 'commander'
import type { Invocation } from '../invocation.ts'
import { oneLine } from '../output.ts'
import type { Act } from '../usage.ts'

export function addClusterCommands(program: Command, act: Act): void {
  const cluster = program.command('cluster').description('look at the cluster')
  cluster
    .command('status')
    .description('who leads, and how much there is')
    .action(act(clusterStatus))
  cluster.command('brokers').description('each broker').action(act(listBrokers))
}

async function clusterStatus(invocation: Invocation): Promise<void> {
  const client = await invocation.connect()
  const { brokers, ...status } = await client.admin().cluster({ signal: invocation.signal })
  const { clusterId, leader, leaderEpoch, coordinators, topics, partitions, groups } = status
  const alive = brokers.filter((broker) => broker.alive).length
  await invocation.output.object({ ...status, brokers: brokers.length, alive }, () =>
    [
      `cluster       ${oneLine(clusterId)}`,
      `leader        ${oneLine(leader)}, epoch ${leaderEpoch}`,
      `coordinators  ${coordinators.map(({ id, address }) => `${id} at ${oneLine(address)}`).join(', ')}`,
      `brokers       ${brokers.length}, ${alive} alive`,
      `topics        ${topics}`,
      `partitions    ${partitions}`,
      `groups        ${groups}`,
    ].join('\n'),
  )
}

async function listBrokers(invocation: Invocation): Promise<void> {
  const client = await invocation.connect()
  const { brokers } = await client.admin().cluster({ signal: invocation.signal })
  await invocation.output.rows(brokers, {
    head: ['broker', 'address', 'state', 'epoch', 'set'],
    cells: ({ id, address, state, epoch, set }) => [
      String(id),
      oneLine(address),
      state,
      String(epoch),
      String(set),
    ],
    empty: 'no brokers yet: popmq broker --id 1 …',
  })
}
