import type { Clock } from '@popmq/kit'
import { asMqError, MqError, type PreparedMessage, prepareMessage } from '@popmq/protocol'
import type { TopicInfo } from '@popmq/protocol'
import type { OutgoingMessage } from './api/outgoing-message.ts'
import { delayOf, isPrompt } from './core/delay.ts'
import { checkOutgoing } from './core/outgoing-keys.ts'
import { SendRoom } from './core/send-room.ts'
import type { Submission } from './core/submission.ts'
import { Delivery, type DeliveryDeps } from './delivery.ts'
import type { ProducerConfig } from './producer-config.ts'
import { type AdmittedMessage, TopicGates } from './topic-gates.ts'

/** The messages of one call on their way in. */
export interface IncomingCall {
  readonly messages: readonly OutgoingMessage[]
  readonly submission: Submission
  readonly onFull: 'wait' | 'reject'
}

interface Entry extends IncomingCall {
  /** The next message to take in. */
  slot: number
  /** Stops waiting for room, while it waits. */
  stopWaiting: (() => void) | undefined
}

/**
 * The way of a message: measured → room in the buffer (in the order of the calls) → the gate of its topic (until its
 * routes are known) → delivery. It is settled once, wherever its way ends.
 */
export class MessageIntake {
  readonly #config: ProducerConfig
  readonly #clock: Clock
  readonly #room: SendRoom
  readonly #gates: TopicGates
  readonly delivery: Delivery
  /** Calls that wait for room. */
  readonly #waiting = new Map<Submission, Entry>()
  /** Bytes of settled messages, not given back yet: giving room back lets messages in, which has its moment. */
  #freedBytes = 0

  constructor(config: ProducerConfig, deps: DeliveryDeps) {
    this.#config = config
    this.#clock = deps.clock
    this.#room = new SendRoom(config.bufferBytes)
    this.#gates = new TopicGates({
      routes: deps.routes,
      pass: (topic, message) => this.#pass(topic, message),
      fail: (message, error) => this.#refuse(message, error),
    })
    this.delivery = new Delivery(config, deps, {
      settled: (run) => void (this.#freedBytes += run.recordBytes),
      gathering: () => this.#freeRoom(),
      swept: (now) => this.#sweep(now),
      isWaiting: () => !this.#gates.isEmpty || this.#waiting.size > 0,
    })
  }

  /** Bytes of records that are not settled. */
  get bufferedBytes(): number {
    return this.#room.used - this.#freedBytes
  }

  /** Takes in the messages of a call, now or when there is room. */
  take(call: IncomingCall): void {
    const { messages, submission, onFull } = call
    const start = { messages, submission, onFull, slot: 0, stopWaiting: undefined }
    this.#takeIn(start, false)
    this.delivery.schedule()
  }

  /** The messages of a call that still wait for room fail. */
  end(submission: Submission, error: MqError): void {
    const entry = this.#waiting.get(submission)
    if (entry === undefined) return
    this.#waiting.delete(submission)
    entry.stopWaiting?.()
    while (entry.slot < entry.messages.length) {
      entry.slot += 1
      submission.failed(entry.slot - 1, error)
    }
  }

  /** All messages end: those that may have been stored as unknown, the others with `error`. */
  stop(error: MqError): void {
    for (const submission of [...this.#waiting.keys()]) this.end(submission, error)
    this.#gates.fail(error)
    this.delivery.stop(error)
  }

  /** Takes in messages until one has to wait for room. `isFirst`: this call is the first of those that wait. */
  #takeIn(entry: Entry, isFirst: boolean): void {
    const { messages, submission } = entry
    while (entry.slot < messages.length) {
      const { slot } = entry
      try {
        const admitted = this.#measure(entry, slot)
        if (this.#room.tryTake(admitted.message.recordBytes, isFirst)) this.#gates.enter(admitted)
        else if (entry.onFull === 'reject') throw this.#full()
        else return this.#awaitRoom(entry, admitted)
      } catch (error) {
        submission.failed(slot, asMqError(error))
      }
      entry.slot += 1
      this.delivery.sendFull()
    }
    this.#waiting.delete(submission)
  }

  #awaitRoom(entry: Entry, admitted: AdmittedMessage): void {
    this.#waiting.set(entry.submission, entry)
    entry.stopWaiting = this.#room.wait(admitted.message.recordBytes, () => {
      entry.stopWaiting = undefined
      entry.slot += 1
      this.#gates.enter(admitted)
      this.#takeIn(entry, true)
    })
  }

  /** @throws MqError `invalid_request` */
  #measure({ messages, submission }: Entry, slot: number): AdmittedMessage {
    // Checked next: what is not there is no message.
    const outgoing = messages[slot] as OutgoingMessage
    checkOutgoing(outgoing)
    return {
      topic: outgoing.topic,
      message: this.#prepare(outgoing),
      partition: outgoing.partition,
      owner: submission,
      slot,
    }
  }

  /** @throws MqError `invalid_request` */
  #prepare(outgoing: OutgoingMessage): PreparedMessage {
    // Nothing is copied of those without a delay: they are the many.
    if (isPrompt(outgoing)) return prepareMessage(outgoing, outgoing.value)
    const { delayMs: _delayMs, deliverAt: _deliverAt, ...sections } = outgoing
    const delay = delayOf(outgoing, this.#clock.now())
    return prepareMessage({ ...sections, ...delay }, outgoing.value)
  }

  #pass(topic: TopicInfo, message: AdmittedMessage): void {
    const { length } = message.message.body
    try {
      if (length > topic.policy.maxMessageBytes) throw tooLarge(length, topic)
      if (this.delivery.fencedBy !== undefined) throw this.delivery.fencedBy
      this.delivery.add(topic, message)
      this.delivery.schedule()
    } catch (error) {
      this.#refuse(message, asMqError(error))
    }
  }

  /** Fails a message that has room and is not in delivery. */
  #refuse(message: AdmittedMessage, error: MqError): void {
    this.#freedBytes += message.message.recordBytes
    message.owner.failed(message.slot, error)
    this.delivery.schedule()
  }

  #freeRoom(): void {
    const bytes = this.#freedBytes
    this.#freedBytes = 0
    this.#room.free(bytes)
  }

  #sweep(now: number): void {
    this.#gates.expire(now)
    for (const { submission } of this.#waiting.values()) {
      if (submission.expiresAt <= now) this.end(submission, this.#full())
    }
  }

  #full(): MqError {
    const { bufferBytes } = this.#config
    const what = `${this.#room.used} bytes of messages are not settled, ${bufferBytes} may be`
    return new MqError('buffer_full', what)
  }
}

function tooLarge(bytes: number, { name, policy: { maxMessageBytes } }: TopicInfo): MqError {
  const what = `a message of ${bytes} bytes is larger than topic ${name} allows: ${maxMessageBytes}`
  return new MqError('message_too_large', what, { facts: { bytes, maxMessageBytes } })
}
