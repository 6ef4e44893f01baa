import type {
  Admin,
  Client,
  DeadLetterAdmin,
  DelayAdmin,
  GroupAdmin,
  GroupConsumer,
  Message,
  OutgoingMessage,
  Producer,
  Receipt,
  SendResult,
} from '@popmq/client'
import { MqError } from '@popmq/protocol'
import { complete } from './complete.ts'
import { fakePopConsumer, type FakePopOptions, fakeWorker } from './fake-pop.ts'

type Received = { readonly max?: number; readonly waitMs?: number; readonly signal?: AbortSignal }

/** What a command asked of the cluster, in order. */
export interface Asked {
  readonly what: string
  readonly given: readonly unknown[]
}

export interface FakeClientOptions extends FakePopOptions {
  readonly admin?: Partial<Admin>
  readonly groups?: Partial<GroupAdmin>
  readonly delays?: Partial<DelayAdmin>
  readonly letters?: Partial<DeadLetterAdmin>
  /** What becomes of a commit. @defaultValue it is taken */
  readonly onCommit?: () => Promise<void>
  /** What becomes of a sent message. @defaultValue it is acknowledged */
  readonly onSend?: (message: OutgoingMessage) => MqError | undefined | Promise<undefined>
  /** What receipts say otherwise. */
  readonly receipt?: Partial<Receipt>
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
      popConsumer: fakePopConsumer(this.#options, (what, given) => this.#remember(what, given)),
      worker: fakeWorker(this.#options, (what, given) => this.#remember(what, given)),
      admin: () => this.#admin(),
      close: async () => {
        this.closed = true
      },
    }
    return complete<Client>('client', client)
  }

  #admin(): Admin {
    const { admin = {}, groups = {}, delays = {}, letters = {} } = this.#options
    return complete<Admin>('admin', {
      ...this.#told(admin),
      groups: () => complete<GroupAdmin>('admin of groups', this.#told(groups)),
      delays: () => complete<DelayAdmin>('admin of delays', this.#told(delays)),
      deadLetters: (group) => {
        this.#remember('deadLetters', [group])
        return complete<DeadLetterAdmin>('admin of dead letters', this.#told(letters))
      },
    })
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
    return { receipt: { ...place, acks: 'disk', duplicate: false, ...this.#options.receipt } }
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
      if (!isPlain || Array.isArray(value)) return value
      return Object.fromEntries(Object.entries(value).filter(([key]) => key !== 'signal'))
    })
    this.asked.push({ what, given: plain })
  }
}
