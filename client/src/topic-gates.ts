import { asMqError, MqError, quoted, type TopicInfo } from '@popmq/protocol'
import type { BatchedMessage } from './core/produce-request.ts'
import type { RouteCache } from './route-cache.ts'

/** A message that is measured and has room. */
export interface AdmittedMessage extends BatchedMessage {
  readonly topic: string
}

export interface TopicGatesDeps {
  readonly routes: RouteCache
  readonly pass: (topic: TopicInfo, message: AdmittedMessage) => void
  readonly fail: (message: AdmittedMessage, error: MqError) => void
}

/**
 * Holds the messages of topics whose routes are not known, in order, until they are. A message passes at once when the
 * topic is known and none of its messages waits.
 */
export class TopicGates {
  readonly #deps: TopicGatesDeps
  readonly #waiting = new Map<string, AdmittedMessage[]>()

  constructor(deps: TopicGatesDeps) {
    this.#deps = deps
  }

  get isEmpty(): boolean {
    return this.#waiting.size === 0
  }

  enter(message: AdmittedMessage): void {
    const waiting = this.#waiting.get(message.topic)
    if (waiting !== undefined) {
      waiting.push(message)
      return
    }
    const topic = this.#deps.routes.table.topic(message.topic)
    if (topic !== undefined) return this.#deps.pass(topic, message)
    this.#waiting.set(message.topic, [message])
    void this.#find(message.topic)
  }

  /** Fails what has waited too long. */
  expire(now: number): void {
    for (const [name, waiting] of this.#waiting) {
      const isOver = (message: AdmittedMessage): boolean => message.owner.expiresAt <= now
      const what = `no coordinator told where topic ${quoted(name)} is`
      for (const message of waiting.filter(isOver)) {
        this.#deps.fail(message, new MqError('unreachable', what))
      }
      this.#waiting.set(
        name,
        waiting.filter((message) => !isOver(message)),
      )
    }
  }

  fail(error: MqError): void {
    for (const name of [...this.#waiting.keys()]) {
      for (const message of this.#take(name)) this.#deps.fail(message, error)
    }
  }

  async #find(name: string): Promise<void> {
    try {
      const topic = await this.#deps.routes.find(name)
      if (topic === undefined)
        throw new MqError('topic_not_found', `there is no topic ${quoted(name)}`)
      for (const message of this.#take(name)) this.#deps.pass(topic, message)
    } catch (thrown) {
      const error = asMqError(thrown)
      for (const message of this.#take(name)) this.#deps.fail(message, error)
    }
  }

  #take(name: string): AdmittedMessage[] {
    const waiting = this.#waiting.get(name) ?? []
    this.#waiting.delete(name)
    return waiting
  }
}
