import { authenticate, crc32 } from '@popmq/kit/checksum'
import { type Log, systemClock, systemRandom } from '@popmq/kit'
import { type DataDirectory, DataDirectoryError, openDataDirectory } from '@popmq/kit/storage'
import { type ErrorName, MqError } from '@popmq/protocol'
import { type HttpAnswer, webSocketTransport } from '@popmq/transport'
import { Broker } from './broker.ts'
import type { LogOptions } from './core/options.ts'
import { Metrics } from './metrics.ts'

export interface BrokerProcessOptions {
  /** 1..65,535, one of its own in the cluster. */
  readonly id: number
  /** host:port[,host:port…] */
  readonly coordinators: string
  /** The data directory; made when there is none. */
  readonly data: string
  /** host:port */
  readonly listen: string
  /** host:port that clients are told. @defaultValue where it listens */
  readonly advertise?: string
  readonly log: Log
  readonly options?: Partial<LogOptions>
}

export interface RunningBroker {
  readonly address: string
  /** Resolves, with the cause, when the broker can no longer be trusted: end the process. */
  readonly failed: Promise<MqError>
  close(): Promise<void>
}

const directoryErrors = {
  locked: 'data_directory_locked',
  newer_format: 'newer_format',
  invalid: 'data_directory_invalid',
  foreign: 'foreign_cluster',
} as const satisfies Record<DataDirectoryError['kind'], ErrorName>

/** A broker on the machine's clock, disk and network, with `/metrics`, `/healthz` and `/readyz` on its port. */
export async function brokerProcess(options: BrokerProcessOptions): Promise<RunningBroker> {
  const directory = await openDirectory(options)
  const metrics = new Metrics()
  let broker: Broker | undefined
  const transport = webSocketTransport({
    http: ({ path }) => answer(path, { broker, metrics }),
    hosts: options.advertise === undefined ? [] : [options.advertise.replace(/:\d+$/, '')],
    onDefect: (error) => options.log.error('http_defect', { error: String(error) }),
  })
  const ports = {
    storage: directory.storage,
    transport,
    clock: systemClock,
    random: systemRandom,
    crc32,
    authenticate,
    log: options.log,
    observe: metrics.observe.bind(metrics),
  }
  const coordinators = options.coordinators.split(',')
  try {
    const { id, listen, advertise } = options
    broker = await Broker.start(ports, {
      id,
      coordinators,
      listen,
      ...(advertise === undefined ? {} : { advertise }),
      ...(options.options === undefined ? {} : { log: options.options }),
    })
  } catch (error) {
    await directory.close()
    throw error
  }
  const lost = directory.lost.then(
    () => new MqError('data_directory_locked', `${options.data} was taken from this process`),
  )
  const running = broker
  return {
    address: running.address,
    failed: Promise.race([running.failed, lost]),
    close: async () => {
      await running.close()
      await directory.close()
    },
  }
}

async function openDirectory({ data, id }: BrokerProcessOptions): Promise<DataDirectory> {
  try {
    return await openDataDirectory(data, { role: 'broker', brokerId: id })
  } catch (error) {
    if (!(error instanceof DataDirectoryError)) throw error
    throw new MqError(directoryErrors[error.kind], error.message, { cause: error })
  }
}

async function answer(
  path: string,
  now: { broker: Broker | undefined; metrics: Metrics },
): Promise<HttpAnswer | undefined> {
  const text = (status: number, body: string): HttpAnswer => ({
    status,
    contentType: 'text/plain; charset=utf-8',
    body,
  })
  switch (path) {
    case '/healthz':
      return text(200, 'ok\n')
    case '/readyz':
      return now.broker?.isServing === true
        ? text(200, 'ready\n')
        : text(503, 'the broker does not serve yet\n')
    case '/metrics':
      return {
        status: 200,
        contentType: now.metrics.contentType,
        body: await now.metrics.text(now.broker),
      }
    default:
      return undefined
  }
}
