import { tmpdir } from 'node:os'
import { type Latency, latencyOf } from '../latency.ts'
import { type Machine, thisMachine } from '../machine.ts'
import { type ClusterRequest, type MeasuredCluster, withCluster } from '../measured-cluster.ts'
import { topicName } from '../measure.ts'
import { type Profiled, readProfiles } from '../profiled.ts'
import { partitions } from '../workload.ts'
import type { WakeUpGiven, WokenUp } from './wake-ups.ts'

export interface WakeUpSettings {
  readonly sizeBytes: number
  /** Messages that go around, one at a time. */
  readonly messages: number
  /** The delay of the retry, and the lease that expires. */
  readonly delayMs: number
}

export interface WakeUpBenchRequest extends ClusterRequest, WakeUpSettings {}

/** Of pops that wait; see `wakeUps` for what each is counted from. */
export interface WakeUpBenchReport {
  readonly workload: 'wake-up'
  readonly settings: WakeUpSettings
  readonly machine: Machine
  readonly dataFolder: string
  /** Of `send` alone. */
  readonly send: Latency
  readonly arrival: Latency
  readonly retry: Latency
  readonly expiry: Latency
  readonly profiles: readonly Profiled[]
}

const waking = new URL('waking.js', import.meta.url)
const warmUpShare = 0.1
/** A call to the process may take ten minutes. */
const roundsPerCall = 100

/** Measures. @throws MqError `aborted`, and what `wakeUps` throws */
export async function runWakeUpBench(request: WakeUpBenchRequest): Promise<WakeUpBenchReport> {
  const startedAt = Date.now()
  const { sizeBytes, messages, delayMs } = request
  const woken = await withCluster(request, (cluster) => measureAll(request, cluster))
  return {
    workload: 'wake-up',
    settings: { sizeBytes, messages, delayMs },
    machine: thisMachine(),
    dataFolder: request.data ?? tmpdir(),
    send: latencyOf(woken.send),
    arrival: latencyOf(woken.arrival),
    retry: latencyOf(woken.retry),
    expiry: latencyOf(woken.expiry),
    profiles: readProfiles(request.profiles, { startedAt }),
  }
}

async function measureAll(
  { sizeBytes, messages, delayMs, servers }: WakeUpBenchRequest,
  { client, start }: MeasuredCluster,
): Promise<WokenUp> {
  const admin = client.admin()
  const topic = topicName(0)
  const group = topic
  await admin.createTopic(topic, { partitions })
  // Every message fails here: that is no outage.
  await admin.groups().setConfig(group, { outageBrake: 'off' })
  const waker = await start(waking, { name: 'waking' })
  const goAround = (rounds: number): Promise<WokenUp> => {
    const given: WakeUpGiven = { topic, group, sizeBytes, delayMs, rounds }
    return waker.call<WokenUp>('goAround', given)
  }
  await goAround(Math.ceil(messages * warmUpShare))
  const woken: WokenUp = { send: [], arrival: [], retry: [], expiry: [] }
  for (let left = messages; left > 0; left -= roundsPerCall) {
    const some = await goAround(Math.min(left, roundsPerCall))
    for (const what of ['send', 'arrival', 'retry', 'expiry'] as const)
      woken[what].push(...some[what])
  }
  if (servers !== undefined) {
    await admin.groups().delete(group)
    await admin.deleteTopic(topic)
  }
  return woken
}
