import type { Clock, Timer } from '@popmq/kit'
import { MqError } from '@popmq/protocol'
import type { Channel } from './channel.ts'
import type { ResponderLimits } from './responder-limits.ts'

export interface ThrottleParts {
  readonly channel: Channel
  readonly clock: Clock
  readonly limits: ResponderLimits
  /** Called when the client leaves more replies unread, or for longer, than it may. */
  readonly onStuck: (error: MqError) => void
}

/**
 * Reading from a connection stops while
 *    requests being handled weigh more than `ingressBytes`, until they weigh half, or
 *    replies not taken weigh more than `outboundBytes`, until all are taken.
 */
export class Throttle {
  readonly #parts: ThrottleParts
  #ingressBytes = 0
  #ingressIsFull = false
  #drainTimer: Timer | undefined
  #isPaused = false
  #isStopped = false

  constructor(parts: ThrottleParts) {
    this.#parts = parts
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
    const { channel, limits, clock, onStuck } = this.#parts
    const { bufferedBytes } = channel
    if (this.#isStopped || bufferedBytes <= limits.outboundBytes) return
    if (bufferedBytes > limits.mostOutboundBytes) {
      onStuck(
        new MqError('timed_out', `the client leaves ${bufferedBytes} bytes of replies unread`),
      )
      return
    }
    this.#drainTimer ??= clock.after(limits.drainMs, () => {
      onStuck(
        new MqError('timed_out', `the client did not take its replies in ${limits.drainMs} ms`),
      )
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
    const { channel, limits } = this.#parts
    const bound = this.#ingressIsFull ? limits.ingressBytes / 2 : limits.ingressBytes
    this.#ingressIsFull = this.#ingressBytes > bound
    const pause = this.#ingressIsFull || this.#drainTimer !== undefined
    if (pause === this.#isPaused || this.#isStopped) return
    this.#isPaused = pause
    if (pause) channel.pause()
    else channel.resume()
  }
}
