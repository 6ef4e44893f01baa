import { assert, type Clock, deferred } from '@popmq/kit'
import { errorFrameType, type Exchange, type Frame, hello, limits, MqError } from '@popmq/protocol'
import { protocolVersion, readFrames, type ReplyOf } from '@popmq/protocol'
import type { Channel, Transport } from './channel.ts'
import { CorrelationIds } from './correlation-ids.ts'
import { Deadlines } from './deadlines.ts'
import { readErrorFrame } from './error-frame.ts'
import { frameParts } from './frame-parts.ts'
import { type AnyPendingCall, PendingCall, type Reply } from './pending-call.ts'

export type { Reply } from './pending-call.ts'

export interface ConnectOptions {
  readonly clock: Clock
  /** A name for the server's logs, at most 128 bytes. */
  readonly client: string
  /** How long the server may take to answer hello, in ms. @defaultValue 5_000 */
  readonly helloTimeoutMs?: number
  readonly signal?: AbortSignal
}

export interface CallOptions {
  /** How long to wait for the reply, in ms, above 0. */
  readonly timeoutMs: number
  /** Record bytes that travel beside the fields. They must not change afterwards. */
  readonly slices?: readonly Uint8Array[]
  readonly signal?: AbortSignal
}

/** Bytes that may wait to be taken by the peer before further requests are refused. */
const outboundBytes = 64 * 1_048_576
const helloTimeoutMs = 5_000

/**
 * The client end of a channel: sends requests, many at once, and settles each exactly once. States:
 *    open    requests go out, replies come in
 *    closed  by `close`, by the peer, by a lost connection or by a peer that breaks the protocol; for good
 */
export class Caller {
  readonly #channel: Channel
  readonly #clock: Clock
  readonly #pending = new Map<number, AnyPendingCall>()
  readonly #deadlines: Deadlines
  readonly #correlationIds = new CorrelationIds()
  readonly #closedListeners = new Set<(reason: MqError | undefined) => void>()
  readonly #gone = deferred()
  #drained: (() => void)[] = []
  #hello: ReplyOf<typeof hello> | undefined
  #state: 'open' | 'closed' = 'open'
  #closedByUs = false
  #reason: MqError | undefined

  private constructor(channel: Channel, clock: Clock) {
    this.#channel = channel
    this.#clock = clock
    this.#deadlines = new Deadlines(clock)
    channel.receive({
      message: (bytes) => this.#message(bytes),
      drained: () => this.#wakeDrained(),
      closed: (reason) => {
        this.#shut(reason)
        this.#gone.resolve()
      },
    })
  }

  /**
   * Opens a channel to `address` and says hello.
   * @throws MqError `unreachable`, `unsupported_version`, `timed_out`, `connection_lost`, `aborted`
   */
  static async connect(
    transport: Transport,
    address: string,
    options: ConnectOptions,
  ): Promise<Caller> {
    const { clock, client, signal } = options
    const aborting = signal === undefined ? {} : { signal }
    const caller = new Caller(await transport.connect(address, aborting), clock)
    try {
      const versions = { lowestVersion: protocolVersion, highestVersion: protocolVersion }
      const timeoutMs = options.helloTimeoutMs ?? helloTimeoutMs
      const { reply } = await caller.call(
        hello,
        { client, ...versions },
        { timeoutMs, ...aborting },
      )
      if (reply.version !== protocolVersion) {
        throw new MqError(
          'unsupported_version',
          `${address} chose version ${reply.version}, this client speaks ${protocolVersion}`,
        )
      }
      caller.#hello = reply
      return caller
    } catch (error) {
      void caller.close()
      throw error
    }
  }

  /** What the server said of itself. */
  get hello(): ReplyOf<typeof hello> {
    assert(this.#hello !== undefined, 'a caller is handed out after hello was answered')
    return this.#hello
  }

  get closed(): boolean {
    return this.#state === 'closed'
  }

  /** Requests that wait for an answer. */
  get inFlight(): number {
    return this.#pending.size
  }

  /** Bytes sent that the peer has not taken yet. */
  get bufferedBytes(): number {
    return this.#channel.bufferedBytes
  }

  /** Resolves when the peer has taken all that was sent, or the channel is closed; at once when nothing waits. */
  drained(): Promise<void> {
    if (this.closed || this.bufferedBytes === 0) return Promise.resolve()
    return new Promise((resolve) => this.#drained.push(resolve))
  }

  /**
   * Sends a request and waits for its reply.
   * @throws MqError from the server; `timed_out`, `aborted` or `connection_lost` when it may have been carried out;
   * `closed`, `unreachable` (the connection was lost before), `too_many_requests`, `buffer_full` or `message_too_large`
   * when nothing was sent.
   */
  call<Q extends object, R>(
    exchange: Exchange<Q, R>,
    request: Q,
    options: CallOptions,
  ): Promise<Reply<R>> {
    const { timeoutMs, slices, signal } = options
    assert(timeoutMs > 0 && Number.isFinite(timeoutMs), 'a call waits a finite time above 0')
    return new Promise((resolve, reject) => {
      const refusal = this.#refusal(signal)
      if (refusal !== undefined) return reject(refusal)
      const correlationId = this.#takeCorrelationId()
      const parts = frameParts({ type: exchange.type, correlationId, fields: request, slices })
      const onSettled = (how: 'answered' | 'expired'): void => {
        this.#pending.delete(correlationId)
        if (how === 'answered') this.#deadlines.settled()
      }
      const dueMs = this.#clock.monotonic() + timeoutMs
      const call = new PendingCall({ exchange, dueMs, signal, resolve, reject, onSettled })
      this.#pending.set(correlationId, call)
      this.#deadlines.add(call)
      this.#channel.send(parts)
    })
  }

  /**
   * Sends a request that is not answered (acks none).
   * @throws MqError `closed`, `unreachable`, `buffer_full`, `message_too_large`: nothing was sent
   */
  tell<Q extends object, R>(
    exchange: Exchange<Q, R>,
    request: Q,
    slices?: readonly Uint8Array[],
  ): void {
    const refusal = this.#closedError() ?? this.#fullError()
    if (refusal !== undefined) throw refusal
    const correlationId = this.#takeCorrelationId()
    this.#channel.send(frameParts({ type: exchange.type, correlationId, fields: request, slices }))
  }

  /** Closes; what is in flight fails with `connection_lost`. Resolves when the channel is gone. */
  close(): Promise<void> {
    if (this.#state === 'open') {
      this.#closedByUs = true
      this.#channel.close()
      this.#shut(undefined)
    }
    return this.#gone.promise
  }

  /**
   * Calls `listener` once when this caller is closed, at once if it is; `reason` is absent when `close` did it.
   * @returns a function that takes the listener back
   */
  onClosed(listener: (reason: MqError | undefined) => void): () => void {
    if (this.closed) listener(this.#reason)
    else this.#closedListeners.add(listener)
    return () => void this.#closedListeners.delete(listener)
  }

  #refusal(signal: AbortSignal | undefined): MqError | undefined {
    if (signal?.aborted === true)
      return new MqError('aborted', 'the call was aborted before it was sent', {
        cause: signal.reason,
      })
    if (this.#pending.size >= limits.requestsInFlight) {
      return new MqError(
        'too_many_requests',
        `${limits.requestsInFlight} requests to ${this.#channel.remote} wait for an answer`,
      )
    }
    return this.#closedError() ?? this.#fullError()
  }

  #closedError(): MqError | undefined {
    if (this.#state === 'open') return undefined
    if (this.#closedByUs)
      return new MqError(
        'closed',
        `the connection to ${this.#channel.remote} was closed by this end`,
      )
    return new MqError('unreachable', `the connection to ${this.#channel.remote} was lost`, {
      cause: this.#reason,
    })
  }

  #fullError(): MqError | undefined {
    if (this.bufferedBytes < outboundBytes) return undefined
    return new MqError(
      'buffer_full',
      `${this.bufferedBytes} bytes to ${this.#channel.remote} wait to be taken`,
    )
  }

  #takeCorrelationId(): number {
    return this.#correlationIds.take((id) => this.#pending.has(id))
  }

  #message(bytes: Uint8Array): void {
    if (this.#state === 'closed') return
    try {
      for (const frame of readFrames(bytes)) this.#frame(frame)
    } catch (error) {
      if (!(error instanceof MqError)) throw error
      // What the reply was can no longer be known: every call in flight may have been carried out.
      this.#channel.close(error)
      this.#shut(error)
    }
  }

  /** @throws MqError when the peer breaks the protocol or tells that this end did */
  #frame({ version, type, correlationId, body }: Frame): void {
    if (version !== protocolVersion)
      throw new MqError('unsupported_version', `a reply has version ${version}`)
    const call = this.#pending.get(correlationId)
    if (type === errorFrameType && (call !== undefined || correlationId === 0)) {
      const error = readErrorFrame(body)
      if (call === undefined) throw error
      call.fail(error)
    } else if (call !== undefined) {
      call.reply(type, body)
    }
    // Otherwise it is late: its call timed out, was aborted, or wants no answer.
  }

  #shut(reason: MqError | undefined): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#reason = this.#closedByUs ? undefined : reason
    const why = reason === undefined ? 'closed' : `lost: ${reason.what}`
    for (const call of [...this.#pending.values()]) {
      call.fail(
        new MqError('connection_lost', `the connection to ${this.#channel.remote} was ${why}`, {
          cause: reason,
        }),
      )
    }
    this.#deadlines.clear()
    this.#wakeDrained()
    for (const listener of [...this.#closedListeners]) listener(this.#reason)
    this.#closedListeners.clear()
  }

  #wakeDrained(): void {
    const woken = this.#drained
    this.#drained = []
    for (const wake of woken) wake()
  }
}
