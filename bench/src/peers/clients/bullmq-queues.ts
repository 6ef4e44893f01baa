/** BullMQ on Redis: jobs are added in bulk, workers run several at once; a completed job is removed. */
import { deferred, present } from '@popmq/kit'
import { loadPackage } from '../peers-folder.ts'
import {
  type Outgoing,
  type PeerAddress,
  type PeerClient,
  type PeerRun,
  type PopGiven,
  type Popping,
  streamName,
  streamNames,
  type Taking,
} from './peer-client.ts'
import { TextReader, textValue } from './text-value.ts'

interface Job {
  readonly data: string
}

interface Queue {
  on(event: 'error', listener: (error: Error) => void): void
  addBulk(jobs: readonly { name: string; data: string; opts: object }[]): Promise<unknown>
  getJobCounts(...states: readonly string[]): Promise<Readonly<Record<string, number>>>
  waitUntilReady(): Promise<unknown>
  obliterate(options: { force: boolean }): Promise<void>
  close(): Promise<void>
}

interface Worker {
  on(event: 'completed', listener: (job: Job) => void): void
  on(event: 'failed', listener: (job: Job | undefined, error: Error) => void): void
  on(event: 'error', listener: (error: Error) => void): void
  run(): Promise<void>
  waitUntilReady(): Promise<unknown>
  close(): Promise<void>
}

interface Package {
  readonly Queue: new (name: string, options: object) => Queue
  readonly Worker: new (
    name: string,
    process: (job: Job) => Promise<unknown>,
    options: object,
  ) => Worker
}

const readConcurrency = 100
const undone = ['waiting', 'active', 'delayed', 'failed', 'prioritized'] as const

export async function connectBullmq({ port }: PeerAddress): Promise<PeerClient> {
  const peer = await loadPackage<Package>('bullmq')
  const connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null }
  const queues = new Map<string, Queue>()
  const queuesOf = (run: PeerRun): readonly Queue[] =>
    streamNames(run).map((name) => {
      const queue = queues.get(name) ?? new peer.Queue(name, { connection })
      if (!queues.has(name)) queue.on('error', tell)
      queues.set(name, queue)
      return queue
    })
  const worker: WorkerOf = (name, process, concurrency) => {
    const options = { connection, concurrency, autorun: false, removeOnComplete: { count: 0 } }
    return new peer.Worker(name, process, options)
  }
  return {
    create: async (run) =>
      void (await Promise.all(queuesOf(run).map((queue) => queue.waitUntilReady()))),
    send: (run, batch, sizeBytes) => send(queuesOf(run), batch, sizeBytes),
    read: (run, taking) => read(worker, run, taking),
    openPop: (given) => openPop(worker, given),
    unacked: async (run) => {
      const counts = await Promise.all(queuesOf(run).map((queue) => queue.getJobCounts(...undone)))
      return counts.flatMap((count) => Object.values(count)).reduce((sum, each) => sum + each, 0)
    },
    remove: async (run) => {
      for (const queue of queuesOf(run)) await queue.obliterate({ force: true })
      for (const [name, queue] of queues) {
        await queue.close()
        queues.delete(name)
      }
    },
    close: async () => {
      for (const queue of queues.values()) await queue.close()
    },
  }
}

type WorkerOf = (
  name: string,
  process: (job: Job) => Promise<unknown>,
  concurrency: number,
) => Worker

/** Calls fail by themselves, and jobs are counted. */
function tell(error: Error): void {
  process.stderr.write(`bullmq client: ${error.message}\n`)
}

async function send(
  queues: readonly Queue[],
  batch: readonly Outgoing[],
  sizeBytes: number,
): Promise<void> {
  const jobs = queues.map((): { name: string; data: string; opts: object }[] => [])
  const opts = { removeOnComplete: true }
  for (const { stream, key, number } of batch) {
    const job = { name: key, data: textValue(number, sizeBytes), opts }
    present(jobs[stream], 'a message goes to a queue of its run').push(job)
  }
  await Promise.all(queues.map((queue, index) => queue.addBulk(jobs[index] ?? [])))
}

async function read(worker: WorkerOf, run: PeerRun, { take, sizeBytes }: Taking): Promise<void> {
  const done = deferred()
  const text = new TextReader(sizeBytes)
  const workers = streamNames(run).map((name, stream) => {
    const each = worker(
      name,
      ({ data }) => {
        if (take(text.read(data), stream)) done.resolve()
        return Promise.resolve()
      },
      readConcurrency,
    )
    each.on('failed', (_job, error) => done.reject(error))
    each.on('error', tell)
    return each
  })
  for (const each of workers) void each.run().catch(done.reject)
  await done.promise
  await Promise.all(workers.map((each) => each.close()))
}

async function openPop(worker: WorkerOf, given: PopGiven): Promise<Popping> {
  const { run, consumers, firstConsumer, batch } = given
  const text = new TextReader(given.sizeBytes)
  const workers = Array.from({ length: consumers }, (_, index) => {
    const name = streamName(run, (firstConsumer + index) % run.streams)
    const each = worker(name, () => Promise.resolve(), batch)
    each.on('completed', ({ data }) => given.acked([text.read(data)]))
    each.on('failed', (_job, error) => given.failed(error))
    each.on('error', tell)
    return each
  })
  await Promise.all(workers.map((each) => each.waitUntilReady()))
  return {
    start: () => {
      for (const each of workers) void each.run().catch(given.failed)
      return Promise.resolve()
    },
    stop: async () => void (await Promise.all(workers.map((each) => each.close()))),
  }
}
