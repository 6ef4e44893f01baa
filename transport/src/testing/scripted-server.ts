import assert from 'node:assert/strict'
import { deferred } from '@popmq/kit'
import type { Scheduler } from '@popmq/kit/testing'
import { hello, limits, readFrames, replyBit } from '@popmq/protocol'
import { Caller } from '../caller.ts'
import type { Channel } from '../channel.ts'
import { frameParts } from '../frame-parts.ts'
import { loopbackTransport } from '../loopback.ts'

/** Lets virtual time pass until the promise settles. */
export async function settled<T>(clock: Scheduler, promise: Promise<T>): Promise<T> {
  let done = false
  const finish = (): void => void (done = true)
  promise.then(finish, finish)
  await clock.runUntil(() => done, clock.monotonic() + 60_000)
  assert.ok(done, 'the promise settled')
  return await promise
}

/** A server that answers hello and hands every other message to the test. */
export async function scripted(
  clock: Scheduler,
): Promise<{ caller: Caller; channel: Channel; ids: number[] }> {
  const transport = loopbackTransport(clock)
  const ids: number[] = []
  const accepted = deferred<Channel>()
  const listener = await transport.listen('server:1', (channel) => {
    channel.receive({
      message: (bytes) => {
        for (const { type, correlationId } of readFrames(bytes)) {
          if (type !== hello.type) ids.push(correlationId)
          else channel.send(helloReply(correlationId))
        }
      },
      drained: () => undefined,
      closed: () => undefined,
    })
    accepted.resolve(channel)
  })
  const caller = await settled(
    clock,
    Caller.connect(transport, listener.address, { clock, client: 'test' }),
  )
  return { caller, channel: await accepted.promise, ids }
}

export function helloReply(correlationId: number, version = 1): Uint8Array[] {
  const fields = { role: 'broker', version, clusterId: 'c', frameBodyBytes: limits.frameBodyBytes }
  return frameParts({ type: hello.type | replyBit, correlationId, fields })
}
