/** Redis Streams with node-redis, in its plainest form: pipelines of commands, replies as they come, values as text. */
import { MqError } from '@popmq/client'
import { present } from '@popmq/kit'
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

/** Stream, then its entries: id, and fields with their values in turn. */
type Entry = readonly [id: string, fields: readonly string[]]
type Reply = readonly (readonly [stream: string, entries: readonly Entry[]])[] | null

interface Pipeline {
  addCommand(args: readonly string[]): unknown
  /** Rejects when one of its commands failed. */
  execAsPipeline(): Promise<unknown>
}

interface Redis {
  on(event: 'error', listener: (error: Error) => void): void
  connect(): Promise<unknown>
  multi(): Pipeline
  sendCommand(args: readonly string[]): Promise<unknown>
  destroy(): void
}

interface Package {
  readonly createClient: (options: object) => Redis
}

const group = 'bench'
const readCount = '1000'
const blockMs = '500'

export async function connectRedisStreams({ port }: PeerAddress): Promise<PeerClient> {
  const { createClient } = await loadPackage<Package>('redis')
  const open = async (): Promise<Redis> => {
    const socket = { host: '127.0.0.1', port, reconnectStrategy: false }
    const redis = createClient({ socket, RESP: 2 })
    // Calls fail by themselves.
    redis.on('error', (error) => process.stderr.write(`redis client: ${error.message}\n`))
    await redis.connect()
    return redis
  }
  const redis = await open()
  return {
    create: async (run) => {
      for (const name of streamNames(run))
        await redis.sendCommand(['XGROUP', 'CREATE', name, group, '0', 'MKSTREAM'])
    },
    send: (run, batch, sizeBytes) => send(redis, { run, batch, sizeBytes }),
    read: (run, taking) => read(redis, run, taking),
    openPop: (given) => openPop(open, given),
    unacked: (run) => unacked(redis, run),
    remove: async (run) => void (await redis.sendCommand(['UNLINK', ...streamNames(run)])),
    close: () => Promise.resolve(redis.destroy()),
  }
}

async function send(
  redis: Redis,
  { run, batch, sizeBytes }: { run: PeerRun; batch: readonly Outgoing[]; sizeBytes: number },
): Promise<void> {
  const pipeline = redis.multi()
  const names = streamNames(run)
  for (const { stream, key, number } of batch) {
    const name = present(names[stream], 'a message goes to a stream of its run')
    pipeline.addCommand(['XADD', name, '*', 'k', key, 'v', textValue(number, sizeBytes)])
  }
  await pipeline.execAsPipeline()
}

async function read(redis: Redis, run: PeerRun, { take, sizeBytes }: Taking): Promise<void> {
  const names = streamNames(run)
  const streamOf = new Map(names.map((name, stream) => [name, stream]))
  const after = names.map(() => '0')
  const text = new TextReader(sizeBytes)
  for (;;) {
    const asked = ['XREAD', 'COUNT', readCount, 'BLOCK', blockMs, 'STREAMS', ...names, ...after]
    for (const [name, entries] of ((await redis.sendCommand(asked)) as Reply) ?? []) {
      const stream = present(streamOf.get(name), 'only what was asked for is answered')
      for (const [id, fields] of entries) {
        if (take(text.read(valueOf(fields)), stream)) return
        after[stream] = id
      }
    }
  }
}

/** A connection for each consumer: a read that waits keeps it. */
async function openPop(open: () => Promise<Redis>, given: PopGiven): Promise<Popping> {
  const connections = await Promise.all(Array.from({ length: given.consumers }, open))
  let isStopped = false
  let popping: Promise<unknown> = Promise.resolve()
  const pop = async (redis: Redis, index: number): Promise<void> => {
    const number = given.firstConsumer + index
    const name = streamName(given.run, number % given.run.streams)
    const text = new TextReader(given.sizeBytes)
    const reading = ['XREADGROUP', 'GROUP', group, `c${number}`, 'COUNT', String(given.batch)]
    reading.push('BLOCK', blockMs, 'STREAMS', name, '>')
    const ack = async (batch: readonly Entry[]): Promise<void> => {
      if (batch.length === 0) return
      const acked = await redis.sendCommand(['XACK', name, group, ...batch.map(([id]) => id)])
      if (acked !== batch.length)
        throw new MqError('internal', `${String(acked)} of ${batch.length} were acked`)
      given.acked(batch.map(([, fields]) => text.readCopy(valueOf(fields))))
    }
    let batch: readonly Entry[] = []
    while (!isStopped) {
      // What is sent in one turn goes out together: the acks of a batch and the pop of the next one.
      const acked = ack(batch)
      const [reply] = await Promise.all([redis.sendCommand(reading), acked])
      batch = (reply as Reply)?.[0]?.[1] ?? []
    }
    await ack(batch)
  }
  return {
    start: () => {
      popping = Promise.all(connections.map(pop)).catch(given.failed)
      return Promise.resolve()
    },
    stop: async () => {
      isStopped = true
      await popping
      for (const each of connections) each.destroy()
    },
  }
}

/** Pending entries, and those that the group has not read yet. */
async function unacked(redis: Redis, run: PeerRun): Promise<number> {
  let count = 0
  for (const name of streamNames(run)) {
    const groups = (await redis.sendCommand(['XINFO', 'GROUPS', name])) as readonly unknown[][]
    const fields = groups[0] ?? []
    const of = (field: string): number => Number(fields[fields.indexOf(field) + 1])
    count += of('pending') + of('lag')
  }
  return count
}

function valueOf(fields: readonly string[]): string {
  return present(fields[3], 'an entry has a key and a value')
}
