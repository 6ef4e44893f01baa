import type { Clock, Timer } from '@popmq/kit'
import { MqError } from '@popmq/protocol'
import type { Channel } from './channel.ts'
import type { ResponderLimits } from './responder-limits.ts'

export interface ThrottleParts {
  readonly channel: Channel
  readonly clock: Clock
  readonly limits: ResponderLimits
  readonly owner: Throttled
}

/** Whose connection it is. */
export interface Throttled {
  /** The client leaves more replies unread, or for longer, than it may. */
  stuck(error: MqError): void
}

/**
 * Reading from a connection stops while
 *    requests being handled weigh more than `ingressBytes`, until they weigh half, or
 *    replies not taken weigh more than `outboundBytes`, until all are taken.
 */
export class Throttle {
  readonly #channel: Channel
  readonly #clock: Clock
  readonly #limits: ResponderLimits
  readonly #owner: Throttled
  #ingressBytes = 0
  #ingressIsFull = false
  #drainTimer: Timer | undefined
  #isPaused = false
  #isStopped = false

  constructor({ channel, clock, limits, owner }: ThrottleParts) {
    this.#channel = channel
    this.#clock = clock
    this.#limits = limits
    this.#owner = owner
  }

  /** A request of so many bytes is being handled. */
  began(bytes: number): void {
    this.#ingressBytes += bytes
    this.#apply()
  }

  ended(bytes: number): void {
    this.#ingressBytes -= bytes
    this.#apply()
  }

  /** Something was given to the channel. */
  sent(): void {
    const { bufferedBytes } = this.#channel
    const { outboundBytes, mostOutboundBytes, drainMs } = this.#limits
    if (this.#isStopped || bufferedBytes <= outboundBytes) return
    if (bufferedBytes > mostOutboundBytes) {
      this.#stuck(`the client leaves ${bufferedBytes} bytes of replies unread`)
      return
    }
    this.#drainTimer ??= this.#clock.after(drainMs, () => {
      this.#stuck(`the client did not take its replies in ${drainMs} ms`)
    })
    this.#apply()
  }

  /** The client has taken all that was sent. */
  drained(): void {
    this.#drainTimer?.cancel()
    this.#drainTimer = undefined
    this.#apply()
  }

  /** The connection is over. */
  stop(): void {
    this.#isStopped = true
    this.#drainTimer?.cancel()
  }

  #apply(): void {
    const { ingressBytes } = this.#limits
    const bound = this.#ingressIsFull ? ingressBytes / 2 : ingressBytes
    this.#ingressIsFull = this.#ingressBytes > bound
    const pause = this.#ingressIsFull || this.#drainTimer !== undefined
    if (pause === this.#isPaused || this.#isStopped) return
    this.#isPaused = pause
    if (pause) this.#channel.pause()
    else this.#channel.resume()
  }

  #stuck(what: string): void {
    this.#owner.stuck(new MqError('timed_out', what))
  }
}
