import path from 'node:path'
import type { Command } from 'commander'
import { closeAll } from '@popmq/kit'
import type { Client } from '@popmq/client'
import { isMqError } from '@popmq/protocol'
import type { Invocation } from '../invocation.ts'
import { drain } from '../roles/drain.ts'
import { zookeeperPlace } from '../roles/registry-place.ts'
import type { Role } from '../roles/role.ts'
import { startBroker } from '../roles/start-broker.ts'
import { startCoordinator } from '../roles/start-coordinator.ts'
import { type Act, asOption } from '../usage.ts'
import { wholeNumber } from '../whole-number.ts'

const defaultPortBase = 7700
/** Brokers listen on the ten… eighty ports above the base. */
const mostBrokers = 60

export function addDevCommand(program: Command, act: Act): void {
  program
    .command('dev')
    .description('run a coordinator and brokers in one process, to try things out')
    .option('--data <folder>', 'where the data is kept', './data')
    .option(
      '--port-base <port>',
      'the coordinator listens here, brokers from 10 above',
      asOption(wholeNumber(1, 65_435)),
      defaultPortBase,
    )
    .option('--brokers <n>', 'how many brokers', asOption(wholeNumber(1, mostBrokers)), 1)
    .option('--zookeeper <host:port,…>', 'keep the registry there (default: in the data directory)')
    .option('--demo', 'make the topic "demo" with some messages')
    .action(act(dev))
}

interface DevFlags {
  readonly data: string
  readonly portBase: number
  readonly brokers: number
  readonly zookeeper?: string
  readonly demo?: boolean
}

interface Started {
  readonly coordinator: string
  readonly brokers: readonly string[]
  readonly roles: readonly Role[]
}

async function dev(invocation: Invocation, flags: DevFlags): Promise<void> {
  const log = invocation.log('warn')
  const started = await startAll(invocation, flags)
  try {
    if (flags.demo === true) await makeDemo(invocation, started.coordinator)
    await announce(invocation, flags, started)
  } catch (error) {
    await closeAll(started.roles)
    throw error
  }
  await drain(started.roles, { invocation, log })
}

async function startAll(
  invocation: Invocation,
  { data, portBase, brokers, zookeeper }: DevFlags,
): Promise<Started> {
  const log = invocation.log('warn')
  const roles: Role[] = []
  try {
    const coordinator = await startCoordinator({
      id: 1,
      registry:
        zookeeper === undefined
          ? { data: path.join(data, 'coordinator') }
          : zookeeperPlace(zookeeper, invocation.surroundings.environment),
      listen: `localhost:${portBase}`,
      log,
    })
    roles.push(coordinator)
    const addresses: string[] = []
    for (let id = 1; id <= brokers; id += 1) {
      const broker = await startBroker({
        id,
        coordinators: coordinator.address,
        data: path.join(data, `broker-${id}`),
        listen: `localhost:${portBase + 9 + id}`,
        log,
      })
      roles.push(broker)
      addresses.push(broker.address)
    }
    return { coordinator: coordinator.address, brokers: addresses, roles }
  } catch (error) {
    await closeAll(roles)
    throw error
  }
}

async function announce(
  { output }: Invocation,
  flags: DevFlags,
  { coordinator, brokers }: Started,
): Promise<void> {
  const server = flags.portBase === defaultPortBase ? '' : ` --server localhost:${flags.portBase}`
  const topic = flags.demo === true ? 'demo' : 'orders'
  const tries =
    flags.demo === true
      ? [`popmq topic describe demo${server}`, `popmq consume demo --until-idle 3s${server}`]
      : [`popmq topic create ${topic}${server}`, `popmq produce ${topic} '{"total":42}'${server}`]
  const ready = { role: 'dev', coordinator, brokers, data: flags.data, pid: process.pid }
  await output.object(ready, () =>
    [
      `coordinator  ${coordinator}`,
      ...brokers.map((address, index) => `broker ${index + 1}     ${address}`),
      `data         ${flags.data}`,
      '',
      'Try next, in another terminal:',
      ...tries.map((line) => `  npx ${line}`),
      '',
      'Ctrl-C stops it; the data stays.',
    ].join('\n'),
  )
}

const demoMessages = 100

/** The topic `demo`, with orders of a few customers. A second start leaves it as it is. */
async function makeDemo(invocation: Invocation, coordinator: string): Promise<void> {
  const { surroundings, signal } = invocation
  const client = await surroundings.connect(coordinator, { client: 'popmq-dev', signal })
  try {
    if (await createDemoTopic(client, signal)) await produceDemo(client, signal)
  } finally {
    await client.close()
  }
}

async function createDemoTopic(client: Client, signal: AbortSignal): Promise<boolean> {
  try {
    await client.admin().createTopic('demo', { partitions: 4, signal })
    return true
  } catch (error) {
    if (isMqError(error, 'topic_exists')) return false
    throw error
  }
}

async function produceDemo(client: Client, signal: AbortSignal): Promise<void> {
  const producer = client.producer()
  const messages = Array.from({ length: demoMessages }, (_, index) => ({
    topic: 'demo',
    key: `customer-${index % 7}`,
    tag: index % 3 === 0 ? 'paid' : 'open',
    value: { order: index + 1, total: ((index * 37) % 500) + 1 },
  }))
  try {
    await producer.sendBatch(messages, { signal })
  } finally {
    await producer.close()
  }
}
