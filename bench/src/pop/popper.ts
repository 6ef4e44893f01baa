/** A popping process: consumers of one group, through the public client, as a user writes it. */
import { type Client, connect, isMqError, MqError } from '@popmq/client'
import type { PopConsumer, PoppedMessage } from '@popmq/client'
import { deferred, present } from '@popmq/kit'
import { sharedMs } from '../monotonic.ts'
import { takePart } from '../participant.ts'
import { readNumber } from '../tally.ts'
import { AckedNumbers } from './acked-numbers.ts'
import { HeldMessage } from './held-message.ts'
import type { LetGo, OpenGiven, Popped } from './sides.ts'

/** Of each consumer: the next batch comes while one is worked on, as clients have it that are pushed to. */
const popsUnderWay = 2

let client: Client | undefined
let run: PopperRun | undefined
let held: HeldMessage | undefined

takePart({
  connect: async ({ servers }: { servers: string }) => {
    client = await connect(servers, { client: 'popmq-bench-popper' })
    return {}
  },
  /** Has the consumers know their group, while there is nothing to pop. */
  open: async (given: OpenGiven) => {
    run = new PopperRun(present(client, 'connect comes before open'), given)
    await run.open()
    return {}
  },
  /** Pops one message and keeps it until `letGo`. */
  hold: async ({ topic, group }: Pick<OpenGiven, 'topic' | 'group'>) => {
    held = await HeldMessage.pop(present(client, 'connect comes before hold'), { topic, group })
    return {}
  },
  letGo: (): Promise<LetGo> => present(held, 'hold comes before letGo').letGo(),
  /** Starts to pop; `finish` waits for the end. */
  start: () => {
    present(run, 'open comes before start').start()
    return Promise.resolve({})
  },
  acked: () => Promise.resolve({ count: present(run, 'open comes before acked').ackedCount() }),
  finish: (): Promise<Popped> => present(run, 'open comes before finish').finish(),
})

/** Pops and acks with all consumers until it is finished. */
class PopperRun {
  readonly #given: OpenGiven
  readonly #consumers: readonly PopConsumer[]
  readonly #acked: AckedNumbers
  readonly #stopping = new AbortController()
  readonly #ended = deferred()
  #failure: Error | undefined
  readonly #failed = (error: unknown): void => {
    this.#failure ??= error instanceof Error ? error : new Error(String(error))
    this.#stopping.abort()
  }
  #firstPopMs = 0
  #lastAckMs = 0
  #notAcked = 0

  constructor(to: Client, given: OpenGiven) {
    const { topic, group } = given
    this.#given = given
    this.#acked = new AckedNumbers(given.messages)
    this.#consumers = Array.from({ length: given.consumers }, () =>
      to.popConsumer({ group, topics: [topic] }),
    )
  }

  async open(): Promise<void> {
    const asked = this.#consumers.map((consumer) => consumer.receive({ max: 1, waitMs: 0 }))
    const messages = (await Promise.all(asked)).flat()
    if (messages.length > 0) throw new MqError('corrupt_record', 'an empty topic gave a message')
  }

  start(): void {
    this.#firstPopMs = sharedMs()
    this.#lastAckMs = this.#firstPopMs
    const popping = this.#consumers.flatMap((consumer) =>
      Array.from({ length: popsUnderWay }, () => this.#pop(consumer).catch(this.#failed)),
    )
    void Promise.all(popping).then(() => this.#ended.resolve())
  }

  /** @throws what a consumer threw */
  ackedCount(): number {
    if (this.#failure !== undefined) throw this.#failure
    return this.#acked.count
  }

  async finish(): Promise<Popped> {
    this.#stopping.abort()
    await this.#ended.promise
    await Promise.all(this.#consumers.map((consumer) => consumer.close()))
    if (this.#failure !== undefined) throw this.#failure
    return {
      firstPopMs: this.#firstPopMs,
      lastAckMs: this.#lastAckMs,
      acked: this.#acked.encode(),
      notAcked: this.#notAcked,
    }
  }

  /** Pops while an ack of its own is on its way: the disk is waited for by the next batch, not by this one. */
  async #pop(consumer: PopConsumer): Promise<void> {
    const { signal } = this.#stopping
    const { batch: max } = this.#given
    let acked = Promise.resolve()
    while (!signal.aborted) {
      const batch = await orStopped(consumer.receive({ max, signal }))
      const before = acked
      acked = this.#ack(consumer, batch).catch(this.#failed)
      await before
    }
    await acked
  }

  async #ack(consumer: PopConsumer, batch: readonly PoppedMessage[]): Promise<void> {
    if (batch.length === 0) return
    const results = await consumer.ack(batch)
    const ackMs = sharedMs()
    for (const [index, { result }] of results.entries()) {
      const { bytes } = present(batch[index], 'there is a result per handle')
      if (bytes.length !== this.#given.sizeBytes)
        throw new MqError('corrupt_record', `a value of ${bytes.length} bytes was popped`)
      if (result === 'acked') {
        this.#acked.add(readNumber(bytes))
        this.#lastAckMs = ackMs
      } else this.#notAcked += 1
    }
  }
}

/** Being stopped while it waits is an end, no failure. */
async function orStopped<T>(receiving: Promise<readonly T[]>): Promise<readonly T[]> {
  try {
    return await receiving
  } catch (error) {
    if (isMqError(error, 'aborted')) return []
    throw error
  }
}
