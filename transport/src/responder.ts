import type { Clock, Timer } from '@popmq/kit'
import {
  asMqError,
  type Body,
  decodeBody,
  type ErrorName,
  type Frame,
  frameHeaderBytes,
  hello,
} from '@popmq/protocol'
import {
  limits,
  MqError,
  protocolVersion,
  readFrames,
  replyBit,
  type ReplyOf,
  requestBodyLimits,
} from '@popmq/protocol'
import type { Channel, ChannelReceiver } from './channel.ts'
import { errorFrameParts } from './error-frame.ts'
import { frameParts } from './frame-parts.ts'
import { readGreeting } from './greeting.ts'
import { IncomingRequest } from './incoming-request.ts'
import type { ResponderEvent } from './responder-event.ts'
import { RequestsInFlight } from './requests-in-flight.ts'
import { type ResponderLimits, responderLimits } from './responder-limits.ts'
import type { Answer, ConnectionInfo, Route, Routes } from './routes.ts'
import { Throttle, type Throttled } from './throttle.ts'

export type * from './responder-event.ts'

export interface ResponderOptions {
  readonly role: ReplyOf<typeof hello>['role']
  readonly clusterId: () => string
  readonly clock: Clock
  readonly routes: Pick<Routes, 'get'>
  readonly limits?: Partial<ResponderLimits>
  readonly observe?: (event: ResponderEvent) => void
  /** Number of the connection in logs. @defaultValue counts up from 1 in this process */
  readonly connectionId?: number
}

let connections = 0

/** Answers what comes over `channel` until it is closed. */
export function respond(channel: Channel, options: ResponderOptions): Responder {
  connections += 1
  return new Responder(channel, options, options.connectionId ?? connections)
}

/**
 * The server end of one channel. States:
 *    greeting  only hello is allowed, and only for `helloMs`
 *    open      requests are handled as they arrive; answers go out as they are ready
 *    closed    the client broke the protocol or a limit, either end closed, or the connection was lost; for good
 */
export class Responder implements ChannelReceiver, Throttled {
  readonly #channel: Channel
  readonly #options: ResponderOptions
  readonly #limits: ResponderLimits
  readonly #inFlight = new RequestsInFlight()
  #helloTimer: Timer | undefined
  readonly #throttle: Throttle
  #connection: ConnectionInfo
  #state: 'greeting' | 'open' | 'closed' = 'greeting'

  constructor(channel: Channel, options: ResponderOptions, connectionId: number) {
    const { clock } = options
    this.#channel = channel
    this.#options = options
    this.#limits = options.limits ? { ...responderLimits, ...options.limits } : responderLimits
    this.#connection = { id: connectionId, client: '', remote: channel.remote }
    this.#helloTimer = clock.after(this.#limits.helloMs, () => {
      const what = `no hello came within ${this.#limits.helloMs} ms`
      this.#refuse(0, new MqError('hello_required', what))
    })
    this.#throttle = new Throttle({ channel, clock, limits: this.#limits, owner: this })
    channel.receive(this)
  }

  get connection(): ConnectionInfo {
    return this.#connection
  }

  /** Requests being handled. */
  get inFlight(): number {
    return this.#inFlight.size
  }

  get isClosed(): boolean {
    return this.#state === 'closed'
  }

  /** Closes the channel; what is being handled is answered to nobody. */
  close(reason?: MqError): void {
    this.#channel.close(reason)
    this.#end()
  }

  /** For the channel alone, as the next two. It is told to the responder itself: closures would be 200 B a connection. */
  message(bytes: Uint8Array): void {
    if (this.#state === 'closed') return
    let frames: Frame[]
    try {
      frames = readFrames(bytes)
    } catch (error) {
      this.#refuse(0, asMqError(error))
      return
    }
    for (const frame of frames) {
      // An earlier frame of this message may have ended the connection.
      if (this.isClosed) return
      this.#frame(frame)
    }
  }

  drained(): void {
    this.#throttle.drained()
  }

  closed(reason: MqError | undefined): void {
    this.#end()
    this.#options.observe?.({ kind: 'closed', connection: this.#connection, reason })
  }

  /** For the throttle alone. */
  stuck(error: MqError): void {
    this.#refuse(undefined, error)
  }

  #frame(frame: Frame): void {
    const { version, type, correlationId } = frame
    if (version !== protocolVersion) {
      this.#refuse(
        correlationId,
        new MqError(
          'unsupported_version',
          `a frame has version ${version}, this server speaks ${protocolVersion}`,
        ),
      )
    } else if (this.#state !== 'greeting') {
      this.#request(frame)
    } else if (type === hello.type) {
      this.#hello(frame)
    } else {
      this.#refuse(
        correlationId,
        new MqError('hello_required', `the first request has type ${type}`),
      )
    }
  }

  #hello({ correlationId, body }: Frame): void {
    try {
      this.#connection = { ...this.#connection, client: readGreeting(body) }
    } catch (error) {
      this.#refuse(correlationId, asMqError(error))
      return
    }
    this.#helloTimer?.cancel()
    // There are as many as connections: one that is over is let go of.
    this.#helloTimer = undefined
    this.#state = 'open'
    const { role, clusterId, observe } = this.#options
    const reply = {
      role,
      version: protocolVersion,
      clusterId: clusterId(),
      frameBodyBytes: limits.frameBodyBytes,
    }
    this.#send(frameParts({ type: hello.type | replyBit, correlationId, fields: reply }))
    observe?.({ kind: 'hello', connection: this.#connection })
  }

  #request({ type, correlationId, body }: Frame): void {
    const route = this.#options.routes.get(type)
    const refusal = this.#requestRefusal(route, type, correlationId)
    if (route === undefined || refusal !== undefined) {
      if (refusal !== undefined) this.#send(errorFrameParts(correlationId, refusal))
      return
    }
    let decoded: Body
    try {
      decoded = decodeBody(body, requestBodyLimits)
    } catch (error) {
      this.#refuse(correlationId, asMqError(error))
      return
    }
    const request = new IncomingRequest(this.#connection, {
      correlationId,
      route,
      bytes: decoded.bytes,
      frameBytes: frameHeaderBytes + body.length,
      startedMs: this.#options.clock.monotonic(),
    })
    this.#inFlight.add(request)
    this.#throttle.began(request.frameBytes)
    this.#handle(request, decoded.fields)
  }

  /** Why a request is not handled although the connection lives. */
  #requestRefusal(
    route: Route | undefined,
    type: number,
    correlationId: number,
  ): MqError | undefined {
    if (type === hello.type) return new MqError('invalid_request', 'hello was said before')
    if (route === undefined)
      return new MqError(
        'unknown_request',
        `a ${this.#options.role} has no request of type ${type}`,
      )
    return this.#inFlight.refusal(correlationId, this.#limits.requestsInFlight)
  }

  #handle(request: IncomingRequest, fields: unknown): void {
    let outcome: ReturnType<Route['answer']>
    try {
      outcome = request.route.answer(fields, request)
    } catch (error) {
      this.#fail(request, error)
      return
    }
    if (!(outcome instanceof Promise)) {
      this.#answer(request, outcome)
      return
    }
    outcome.then(
      (answer) => this.#answer(request, answer),
      (error: unknown) => this.#fail(request, error),
    )
  }

  #answer(request: IncomingRequest, answer: Answer<object> | undefined): void {
    if (answer === undefined || this.isClosed) {
      this.#finish(request, undefined)
      return
    }
    const { correlationId, route } = request
    let parts: Uint8Array[]
    try {
      parts = frameParts({
        type: route.type | replyBit,
        correlationId,
        fields: answer.reply,
        slices: answer.slices,
      })
    } catch (error) {
      this.#fail(request, error)
      return
    }
    this.#finish(request, undefined)
    this.#send(parts)
  }

  #fail(request: IncomingRequest, thrown: unknown): void {
    const error = asMqError(thrown)
    this.#finish(request, error.name)
    if (!this.isClosed) this.#send(errorFrameParts(request.correlationId, error))
    if (thrown !== error)
      this.#options.observe?.({ kind: 'defect', name: request.route.name, error: thrown })
  }

  #finish(request: IncomingRequest, error: ErrorName | undefined): void {
    this.#inFlight.remove(request)
    this.#throttle.ended(request.frameBytes)
    const { observe, clock } = this.#options
    observe?.({
      kind: 'answered',
      name: request.route.name,
      tookMs: clock.monotonic() - request.startedMs,
      error,
    })
  }

  #send(parts: Uint8Array[]): void {
    this.#channel.send(parts)
    this.#throttle.sent()
  }

  /** Tells the client, unless it takes nothing anyway (`correlationId` undefined), and closes. */
  #refuse(correlationId: number | undefined, error: MqError): void {
    if (this.isClosed) return
    if (correlationId !== undefined) this.#channel.send(errorFrameParts(correlationId, error))
    this.#options.observe?.({ kind: 'refused', connection: this.#connection, error })
    this.close(error)
  }

  #end(): void {
    if (this.isClosed) return
    this.#state = 'closed'
    this.#helloTimer?.cancel()
    this.#throttle.stop()
    this.#inFlight.closed()
  }
}
