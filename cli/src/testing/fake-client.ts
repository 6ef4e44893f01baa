import type {
  Admin,
  Client,
  GroupAdmin,
  GroupConsumer,
  Message,
  OutgoingMessage,
  Producer,
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
  readonly groups?: Partial<GroupAdmin>
  /** What becomes of a commit. @defaultValue it is taken */
  readonly onCommit?: () => Promise<void>
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
    const { admin = {}, groups } = this.#options
    const told = this.#told(admin)
    if (groups === undefined) return complete<Admin>('admin', told)
    const ofGroups = complete<GroupAdmin>('admin of groups', this.#told(groups))
    return complete<Admin>('admin', { ...told, groups: () => ofGroups })
  }

  /** The same, remembering what is asked. */
  #told<T extends object>(acts: T): T {
    const told = Object.entries(acts).map(([name, act]) => [
      name,
      (...given: never[]) => {
        this.#remember(name, given)
        return (act as (...given: never[]) => unknown)(...given)
      },
    ])
    return Object.fromEntries(told) as T
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

  #consumer(options: unknown): GroupConsumer {
    this.#remember('pullConsumer', [options])
    const left = [...(this.#options.messages ?? [])]
    return complete<GroupConsumer>('consumer', {
      state: 'member',
      commit: async (offsets) => {
        this.#remember('commit', offsets === undefined ? [] : [...offsets])
        await this.#options.onCommit?.()
      },
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
      const isPlain = typeof value === 'object' && value !== null && !(value instanceof Date)
      if (!isPlain) return value
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
