import type {
  Admin,
  Client,
  Message,
  OutgoingMessage,
  Producer,
  PullConsumer,
  SendResult,
} from '@popmq/client'
import { assert } from '@popmq/kit'
import { MqError } from '@popmq/protocol'

type Received = { readonly max?: number; readonly waitMs?: number; readonly signal?: AbortSignal }

/** What a command asked of the cluster, in order. */
export interface Asked {
  readonly what: string
  readonly given: readonly unknown[]
}

export interface FakeClientOptions {
  readonly admin?: Partial<Admin>
  /** What becomes of a sent message. @defaultValue it is acknowledged */
  readonly onSend?: (message: OutgoingMessage) => MqError | undefined | Promise<undefined>
  /** What consumers read, then nothing more comes. */
  readonly messages?: readonly Message[]
}

/** A cluster that does as told and remembers what it was asked. What a test does not bring, it must not use. */
export class FakeClient {
  readonly asked: Asked[] = []
  readonly sent: OutgoingMessage[] = []
  closed = false
  readonly #options: FakeClientOptions

  constructor(options: FakeClientOptions = {}) {
    this.#options = options
  }

  asClient(): Client {
    const client = {
      clusterId: 'c-1',
      producer: (options?: unknown) => this.#producer(options),
      pullConsumer: (options: unknown) => this.#consumer(options),
      admin: () => this.#admin(),
      close: async () => {
        this.closed = true
      },
    }
    return complete<Client>('client', client)
  }

  #admin(): Admin {
    const told = Object.entries(this.#options.admin ?? {}).map(([name, act]) => [
      name,
      (...given: never[]) => {
        this.#remember(name, given)
        return (act as (...given: never[]) => unknown)(...given)
      },
    ])
    return complete<Admin>('admin', Object.fromEntries(told) as Partial<Admin>)
  }

  #producer(options: unknown): Producer {
    this.#remember('producer', [options])
    return complete<Producer>('producer', {
      sendBatchSettled: async (messages) => {
        const results = messages.map((message) => this.#send(message))
        return Promise.all(results)
      },
      close: async () => this.#remember('producer.close', []),
    })
  }

  async #send(message: OutgoingMessage): Promise<SendResult> {
    const error = await this.#options.onSend?.(message)
    if (error !== undefined) return { error }
    const offset = this.sent.push(message) - 1
    const { topic, partition = 0 } = message
    const place = { topic, partition, offset, id: `id-${offset}`, appendedAt: Date.UTC(2026, 0, 1) }
    return { receipt: { ...place, acks: 'disk', duplicate: false } }
  }

  #consumer(options: unknown): PullConsumer {
    this.#remember('pullConsumer', [options])
    const left = [...(this.#options.messages ?? [])]
    return complete<PullConsumer>('consumer', {
      receive: async ({ max, signal }: Received = {}) => {
        if (signal?.aborted === true) throw new MqError('aborted', 'stopped')
        return left.splice(0, max)
      },
      close: async () => this.#remember('pullConsumer.close', []),
    })
  }

  /** Signals are left out: they say nothing of the request. */
  #remember(what: string, given: readonly unknown[]): void {
    const plain = given.map((value) => {
      if (typeof value !== 'object' || value === null) return value
      return Object.fromEntries(Object.entries(value).filter(([key]) => key !== 'signal'))
    })
    this.asked.push({ what, given: plain })
  }
}

/** `part` as the whole: what it leaves out is not to be used. */
function complete<T extends object>(name: string, part: Partial<T>): T {
  return new Proxy(part, {
    get: (target, key) => {
      // Awaiting asks for `then`.
      assert(key in target || key === 'then', `the fake ${name} was not asked for ${String(key)}`)
      return Reflect.get(target, key) as unknown
    },
  }) as T
}

export function fakeMessage(given: Partial<Message> = {}): Message {
  return {
    topic: 'orders',
    partition: 3,
    offset: 17,
    id: '019b75a0-0000-7000-8000-000000000001',
    key: 'o-17',
    tag: 'paid',
    headers: {},
    dedupId: undefined,
    value: { total: 42 },
    bytes: new Uint8Array(),
    appendedAt: Date.UTC(2026, 0, 1, 12),
    bornAt: Date.UTC(2026, 0, 1, 11),
    attempt: 1,
    ...given,
  }
}
