import type { Clock } from '@popmq/kit'
import type { MqError } from '@popmq/protocol'
import type { Channel, Handler, Route } from '@popmq/transport'

/** What to do with a request instead of carrying it out and answering it. */
export type Fault =
  | { readonly kind: 'refuse'; readonly error: MqError }
  /** Nothing happens and the connection breaks. */
  | { readonly kind: 'lose_request' }
  /** It is carried out and the connection breaks. */
  | { readonly kind: 'lose_reply' }
  /** It is carried out after a while. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** It is never answered, and not carried out. */
  | { readonly kind: 'swallow' }

/** Plays a further part of the servers': what a test needs beside what is here. */
export interface FakePart {
  routes(address: string, faulty: FaultyAnswer): readonly Route[]
}

/** Wraps a handler with the faults of a test. */
export type FaultyAnswer = <Q, R>(
  name: string,
  carryOut: (request: Q, bytes: Uint8Array) => ReturnType<Handler<Q, R>>,
) => Handler<Q, R>

export interface Asked {
  /** Name of the exchange. */
  readonly name: string
  /** Where it was asked. */
  readonly address: string
}

export interface FaultyServer {
  readonly clock: Clock
  readonly address: string
  readonly channel: Channel
  readonly cluster: {
    readonly asked: Asked[]
    readonly fault: (asked: Asked) => Fault | undefined
  }
}

/** Notes what a server is asked, and has done to it what the cluster's `fault` says. */
export function withFaults({ clock, address, channel, cluster }: FaultyServer): FaultyAnswer {
  return (name, carryOut) =>
    async (request, { bytes }) => {
      const asked = { name, address }
      cluster.asked.push(asked)
      const fault = cluster.fault(asked)
      if (fault?.kind === 'refuse') throw fault.error
      if (fault?.kind === 'swallow') return new Promise(() => undefined)
      if (fault?.kind === 'lose_request') {
        channel.close()
        return new Promise(() => undefined)
      }
      if (fault?.kind === 'delay') {
        await new Promise<void>((resolve) => clock.after(fault.ms, resolve))
      }
      const answer = await carryOut(request, bytes)
      if (fault?.kind === 'lose_reply') channel.close()
      return answer
    }
}
