import { setTimeout as pause } from 'node:timers/promises'
import type { Client } from '@popmq/client'
import { present } from '@popmq/kit'
import type { Cluster } from '../harness/cluster.ts'
import type { RoleProcess } from '../harness/role-process.ts'
import { until, within } from '../harness/waiting.ts'
import type { AckWatch } from './ack-watch.ts'
import type { FaultPlan } from './fault-plan.ts'
import type { Ledger } from './ledger.ts'
import type { Problems } from './problems.ts'
import { answers, isStopped } from './probe.ts'
import type { SteadyReader } from './steady-reader.ts'

/** What proves that a fault happened and that it is over. */
export interface Receipt {
  readonly effect: string
  readonly heal: string
  /** From the moment it was lifted until every broker that it hit acknowledged a send. */
  readonly recoveryMs: number
}

export interface Battlefield {
  readonly cluster: Cluster
  readonly client: Client
  readonly topic: string
  /** broker id → the partitions that it leads. */
  readonly led: ReadonlyMap<number, ReadonlySet<number>>
  readonly acks: AckWatch
  readonly ledger: Ledger
  readonly problems: Problems
  readonly readers: readonly SteadyReader[]
}

/** A fault that happened and did not pass. Any other error says that it did not happen as it should have. */
export class NotHealed extends Error {}

/** A purge of nothing would prove nothing: it waits until every reader has read this many messages more. */
const leastPurged = 10
const acknowledgedWithinMs = 30_000

/** Lets a fault happen and mend. @throws NotHealed, and Error when its effect is not proved */
export function inflict(field: Battlefield, plan: FaultPlan): Promise<Receipt> {
  const { cluster } = field
  switch (plan.kind) {
    case 'kill-broker':
      return endOne(field, { plan, role: cluster.broker(plan.broker), signal: 'SIGKILL' })
    case 'term-broker':
      return endOne(field, { plan, role: cluster.broker(plan.broker), signal: 'SIGTERM' })
    case 'kill-coordinator':
      return endOne(field, { plan, role: cluster.coordinator, signal: 'SIGKILL' })
    case 'pause-broker':
      return pauseOne(field, plan)
    case 'purge':
      return purge(field, plan)
    case 'restart-all':
      return restartAll(field, plan)
  }
}

type EndSignal = 'SIGKILL' | 'SIGTERM'

async function endOne(
  field: Battlefield,
  { plan, role, signal }: { plan: FaultPlan; role: RoleProcess; signal: EndSignal },
): Promise<Receipt> {
  const { cluster } = field
  await serving(role)
  const effect = await end(field, role, signal)
  await pause(plan.lastsMs)
  const isCoordinator = role === cluster.coordinator
  return recover(field, {
    effect,
    hit: isCoordinator ? [...field.led.keys()] : [plan.broker],
    heal: async () => {
      if (isCoordinator) await cluster.restartCoordinator()
      else await role.start()
      return 'serves again'
    },
  })
}

async function pauseOne(field: Battlefield, plan: FaultPlan): Promise<Receipt> {
  const role = field.cluster.broker(plan.broker)
  await serving(role)
  const untilMs = performance.now() + plan.lastsMs
  role.signal('SIGSTOP')
  try {
    await until(async () => (await isStopped(role)) !== false, {
      what: 'SIGSTOP to be taken',
      withinMs: 5_000,
    })
    if (await answers(role)) throw new Error('a stopped broker answered')
    await pause(Math.max(0, untilMs - performance.now()))
    if ((await isStopped(role)) === false) throw new Error('the broker went on by itself')
  } finally {
    role.signal('SIGCONT')
  }
  return recover(field, {
    effect: `stopped for ${plan.lastsMs} ms, no answer`,
    hit: [plan.broker],
    heal: async () => {
      await role.ready()
      return 'serves again'
    },
  })
}

async function purge(field: Battlefield, { share }: FaultPlan): Promise<Receipt> {
  const { client, topic, ledger, readers } = field
  const read = (partition: number): number =>
    Math.min(...readers.map(({ next }) => next[partition] ?? 0))
  const admin = client.admin()
  const before = await admin.offsets(topic)
  const isWorthIt = (): boolean =>
    before.every(({ partition, low }) => read(partition) - low >= leastPurged)
  await until(isWorthIt, { what: `${leastPurged} more messages of each partition to be read` })
  let count = 0
  for (const { partition, low } of before) {
    const to = low + Math.max(1, Math.floor((read(partition) - low) * share))
    ledger.purging(partition, to)
    const after = await admin.purgeTopic(topic, { partition, before: to })
    const bounds = present(
      after.find((one) => one.partition === partition),
      'a purge names its partition',
    )
    if (bounds.low !== to) throw new Error(`${partition} begins at ${bounds.low}, not at ${to}`)
    const isGone = await isOutOfRange(field, { partition, offset: to - 1 })
    if (!isGone) throw new Error(`${partition}@${to - 1} was purged and can be read`)
    count += to - low
  }
  return recover(field, {
    effect: `${count} messages cannot be read any more`,
    hit: [...field.led.keys()],
    heal: () => Promise.resolve('all others are kept'),
  })
}

async function isOutOfRange(
  { client, topic }: Battlefield,
  place: { readonly partition: number; readonly offset: number },
): Promise<boolean> {
  try {
    await client.admin().messageAt({ topic, ...place })
    return false
  } catch (error) {
    if (error instanceof Error && error.name === 'offset_out_of_range') return true
    throw error
  }
}

async function restartAll(field: Battlefield, plan: FaultPlan): Promise<Receipt> {
  const { cluster } = field
  const roles = [cluster.coordinator, ...cluster.brokers]
  await Promise.all(roles.map(serving))
  const ends = roles.map((role, index) => {
    return end(field, role, plan.kills[index] === true ? 'SIGKILL' : 'SIGTERM')
  })
  const effect = (await Promise.all(ends)).join(', ')
  await pause(plan.lastsMs)
  return recover(field, {
    effect,
    hit: [...field.led.keys()],
    heal: async () => {
      await cluster.coordinator.start()
      await Promise.all(cluster.brokers.map((broker) => broker.start()))
      return 'all serve again'
    },
  })
}

/** The probe must be able to fail: what does not answer before the fault proves nothing by its silence. */
async function serving(role: RoleProcess): Promise<void> {
  await until(() => answers(role), { what: 'an answer before the fault', withinMs: 10_000 })
}

async function end(
  { problems }: Battlefield,
  role: RoleProcess,
  signal: EndSignal,
): Promise<string> {
  const startMs = performance.now()
  const ended = await role.stop(signal)
  const ms = Math.round(performance.now() - startMs)
  const how = ended.code ?? ended.signal
  if (signal === 'SIGKILL' && how !== 'SIGKILL') throw new Error(`SIGKILL ended it with ${how}`)
  // It was ended, so the fault happened; that it did not end in good order is the process's own fault.
  if (signal === 'SIGTERM' && how !== 0)
    problems.tell('process', `${role.address} ended with ${how} after SIGTERM`)
  if (role.isRunning || (await answers(role))) throw new Error(`it answers after ${signal}`)
  return `gone ${ms} ms after ${signal}, no answer`
}

interface Recovery {
  readonly effect: string
  /** Brokers that must acknowledge again. */
  readonly hit: readonly number[]
  /** Lifts the fault and waits until it is over. @returns what proves it */
  readonly heal: () => Promise<string>
}

async function recover(
  { led, acks }: Battlefield,
  { effect, hit, heal }: Recovery,
): Promise<Receipt> {
  const liftedMs = performance.now()
  const acked = hit.map((id) => acks.next(present(led.get(id), 'every broker leads partitions')))
  try {
    const proof = await heal()
    const times = await within(Promise.all(acked), {
      what: `broker ${hit.join(' and ')} to acknowledge a send`,
      withinMs: acknowledgedWithinMs,
    })
    return { effect, heal: proof, recoveryMs: Math.max(...times) - liftedMs }
  } catch (error) {
    throw new NotHealed(error instanceof Error ? error.message : String(error), { cause: error })
  }
}
