import type { MqError } from '@popmq/protocol'

/**
 * A transport carries whole messages of bytes between two ends. WebSocket is one, the simulated network another; raw
 * TCP or gRPC must fit too, so nothing above this file knows of sockets.
 */
export interface Transport {
  /** Opens a channel to `address` (host:port). @throws MqError `unreachable` */
  connect(address: string, options?: { readonly signal?: AbortSignal }): Promise<Channel>
  /** Calls `onChannel` for each channel that a peer opens. @throws MqError `port_in_use` */
  listen(address: string, onChannel: (channel: Channel) => void): Promise<Listener>
}

export interface Listener {
  /** host:port as bound: a port 0 is replaced by the one given. */
  readonly address: string
  /** Stops listening and closes the channels. */
  close(): Promise<void>
}

/** One connection. Messages arrive whole, in order, at most once. */
export interface Channel {
  /** The peer's address, for logs. */
  readonly remote: string
  /** Bytes given to `send` that the peer's side has not taken yet. */
  readonly bufferedBytes: number
  /** Sends one message made of `parts` in order. The parts must not change afterwards. Dropped once closed. */
  send(parts: readonly Uint8Array[]): void
  /** Sets who gets what arrives; called once, before the first message can arrive. */
  receive(receiver: ChannelReceiver): void
  /** Stops taking messages from the peer: its sends pile up there. */
  pause(): void
  resume(): void
  /** Closes for good; `receiver.closed` is called once, later. */
  close(reason?: MqError): void
}

export interface ChannelReceiver {
  /** A view that stays valid. */
  message(bytes: Uint8Array): void
  /** Everything given to `send` so far has been taken. Called after `bufferedBytes` was above zero. */
  drained(): void
  /** Called exactly once. `reason` tells why when it was not this end's wish. */
  closed(reason: MqError | undefined): void
}
