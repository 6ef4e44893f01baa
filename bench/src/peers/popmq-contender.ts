import { type AckLevel, connect, type MqError } from '@popmq/client'
import { type Closable, closeAll } from '@popmq/kit'
import { openServer } from '../measured-server.ts'
import type { MeasuredCluster } from '../measured-cluster.ts'
import { createTopics, topicName } from '../measure.ts'
import { Participant } from '../participant.ts'
import { openPopmqPath } from '../popmq-path.ts'
import { PopRuns } from '../pop/pop-runs.ts'
import { partitions } from '../workload.ts'
import type { Contender, PeersSettings } from './contender.ts'

export interface PopmqRequest extends PeersSettings {
  /** The `popmq` program, a JavaScript file. */
  readonly popmq: string
  readonly acks: AckLevel
}

/** PopMQ as the other workloads measure it: `popmq dev` with its data in `data`, and the public client. */
export function openPopmq(request: PopmqRequest, data: string): Promise<Contender> {
  return request.workload === 'pop' ? openPop(request, data) : openEndToEnd(request, data)
}

const noFlags = (): readonly string[] => []

async function openEndToEnd(request: PopmqRequest, data: string): Promise<Contender> {
  const { acks, popmq, messages, sizeBytes, batch, runs } = request
  const given = { acks, popmq, servers: undefined, data, nodeFlags: noFlags }
  const path = await openPopmqPath(given)
  try {
    await createTopics(
      path,
      Array.from({ length: runs + 1 }, (_, run) => topicName(run)),
    )
  } catch (error) {
    await path.close()
    throw error
  }
  return {
    ...told(request),
    acknowledged: acks === 'disk' || acks === 'quorum' ? 'after a sync' : 'before a sync',
    settings: `acks ${acks}, ${partitions} partitions`,
    // Its calls fail by themselves then.
    lost: new Promise<MqError>(() => undefined),
    measure: async (run) => {
      const topic = topicName(run)
      await path.startConsumer({ run, topic, messages, sizeBytes, partitions })
      const sent = { run, topics: [topic], turns: 'batch', messages, batch, sizeBytes } as const
      const [{ firstSendMs }, { lastReceiveMs }] = await Promise.all([
        path.produce({ ...sent, keyed: true }),
        path.finishConsumer(),
      ])
      return lastReceiveMs - firstSendMs
    },
    close: () => path.close(),
  }
}

async function openPop(request: PopmqRequest, data: string): Promise<Contender> {
  const server = await openServer({
    popmq: request.popmq,
    servers: undefined,
    data,
    nodeFlags: noFlags,
  })
  const opened: Closable[] = [server]
  try {
    const client = await connect(server.servers, { client: 'popmq-bench' })
    opened.push(client)
    const start: MeasuredCluster['start'] = async (file, { name, given }) => {
      const participant = new Participant(file, { name, nodeFlags: [] })
      opened.push(participant)
      await participant.call('connect', { servers: server.servers, ...given })
      return participant
    }
    const runs = await PopRuns.open({ servers: server.servers, client, start }, request)
    return {
      ...told(request),
      acknowledged: 'after a sync',
      settings: `${partitions} partitions, each consumer has two pops under way, and acks beside them`,
      lost: server.lost,
      measure: async (run) => (await runs.measure('pop', run)).seconds * 1_000,
      close: () => closeAll(opened),
    }
  } catch (error) {
    await closeAll(opened)
    throw error
  }
}

function told({ messages }: PopmqRequest): Pick<Contender, 'name' | 'versions' | 'messages'> {
  return { name: 'popmq', versions: 'this build', messages }
}
