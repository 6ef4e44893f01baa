import assert from 'node:assert/strict'
import type { Scheduler } from '@popmq/kit/testing'
import { errorFrameType, type ErrorName, hello, readFrames, replyBit } from '@popmq/protocol'
import type { Channel } from '../channel.ts'
import { readErrorFrame } from '../error-frame.ts'
import { frameParts, type OutgoingFrame } from '../frame-parts.ts'
import { type Handler, route, routes } from '../routes.ts'
import {
  echo,
  type EchoReply,
  type EchoRequest,
  echoServer,
  type EchoServer,
  type EchoServerOptions,
} from './echo.ts'

export interface Seen {
  readonly type: number
  readonly correlationId: number
  readonly error: ErrorName | undefined
}

/** A bare channel to an echo server, with what came back over it. */
export interface Raw {
  readonly server: EchoServer
  readonly channel: Channel
  readonly seen: Seen[]
  readonly closings: unknown[]
}

export const greeting: OutgoingFrame = {
  type: hello.type,
  correlationId: 7,
  fields: { client: 'raw', lowestVersion: 1, highestVersion: 1 },
}

export async function raw(
  clock: Scheduler,
  options: Omit<EchoServerOptions, 'clock'> = {},
  greet = true,
): Promise<Raw> {
  const server = await echoServer({ clock, ...options })
  let channel: Channel | undefined
  void server.channel().then((opened) => (channel = opened))
  await clock.runUntil(() => channel !== undefined, clock.monotonic())
  assert.ok(channel !== undefined)
  const seen: Seen[] = []
  const closings: unknown[] = []
  channel.receive({
    message: (bytes) => {
      for (const { type, correlationId, body } of readFrames(bytes)) {
        seen.push({
          type,
          correlationId,
          error: type === errorFrameType ? readErrorFrame(body).name : undefined,
        })
      }
    },
    drained: () => undefined,
    closed: (reason) => closings.push(reason),
  })
  if (greet) {
    channel.send(frameParts(greeting))
    await clock.run(0)
    assert.deepEqual(seen.splice(0), [
      { type: hello.type | replyBit, correlationId: 7, error: undefined },
    ])
  }
  return { server, channel, seen, closings }
}

export const ask = (
  correlationId: number,
  text = '',
  slices: readonly Uint8Array[] = [],
): Uint8Array[] => frameParts({ type: echo.type, correlationId, fields: { text }, slices })
export const refused = (correlationId: number, error: ErrorName): Seen => ({
  type: errorFrameType,
  correlationId,
  error,
})
export const answered = (correlationId: number): Seen => ({
  type: echo.type | replyBit,
  correlationId,
  error: undefined,
})
const never: Handler<EchoRequest, EchoReply> = () => new Promise(() => undefined)
export const neverRoutes = routes(route(echo, never))

/** A healthy client of the same server is answered. */
export async function assertServes(clock: Scheduler, server: EchoServer): Promise<void> {
  let text: string | undefined
  void server
    .connect()
    .then((caller) => caller.call(echo, { text: 'still here' }, { timeoutMs: 100 }))
    .then(({ reply }) => (text = reply.text))
  await clock.runUntil(() => text !== undefined, clock.monotonic() + 100)
  assert.equal(text, 'still here')
}
