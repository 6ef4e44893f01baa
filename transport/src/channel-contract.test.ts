import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deferred, systemClock } from '@popmq/kit'
import { isMqError, type MqError } from '@popmq/protocol'
import type { Channel, Listener, Transport } from './channel.ts'
import { loopbackTransport } from './loopback.ts'
import { webSocketTransport } from './websocket.ts'

/** One end, with what it was told. */
class End {
  readonly channel: Channel
  readonly messages: Uint8Array[] = []
  readonly closings: (MqError | undefined)[] = []
  drains = 0
  #changed = deferred()

  constructor(channel: Channel) {
    this.channel = channel
    channel.receive({
      message: (bytes) => this.#note(() => this.messages.push(bytes)),
      drained: () => this.#note(() => (this.drains += 1)),
      closed: (reason) => this.#note(() => this.closings.push(reason)),
    })
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await this.#changed.promise
  }

  #note(change: () => void): void {
    change()
    const { resolve } = this.#changed
    this.#changed = deferred()
    resolve()
  }
}

interface Pair {
  readonly ours: End
  readonly theirs: End
  readonly listener: Listener
}

async function open(transport: Transport): Promise<Pair> {
  const accepted = deferred<End>()
  const listener = await transport.listen('127.0.0.1:0', (channel) =>
    accepted.resolve(new End(channel)),
  )
  const ours = new End(await transport.connect(listener.address))
  return { ours, theirs: await accepted.promise, listener }
}

const transports: [string, () => Transport][] = [
  ['websocket', () => webSocketTransport()],
  ['loopback', () => loopbackTransport(systemClock)],
]

const pattern = (bytes: number, seed: number): Uint8Array =>
  new Uint8Array(bytes).map((_, index) => (index * 31 + seed) & 0xff)

for (const [name, make] of transports) {
  void test(`${name}: messages of any size arrive whole and in order, both ways`, async () => {
    const { ours, theirs, listener } = await open(make())
    const sizes = [
      0, 1, 125, 126, 127, 65_535, 65_536, 16_384, 16_385, 262_143, 262_144, 3_000_001, 2,
    ]
    for (const [from, to] of [
      [ours, theirs],
      [theirs, ours],
    ] as const) {
      const halves = (size: number): Uint8Array[] => [
        pattern(size >> 1, 1),
        pattern(0, 0),
        pattern(size - (size >> 1), 2),
      ]
      for (const size of sizes) from.channel.send(halves(size))
      await to.until(() => to.messages.length === sizes.length)
      for (const [index, size] of sizes.entries()) {
        const arrived = to.messages[index] ?? assert.fail()
        assert.ok(Buffer.concat(halves(size)).equals(arrived), `a message of ${size} bytes`)
      }
      await from.until(() => from.drains > 0)
      assert.equal(from.channel.bufferedBytes, 0)
    }
    await listener.close()
  })

  void test(`${name}: what is sent to a paused end piles up at the sender until it resumes`, async () => {
    const { ours, theirs, listener } = await open(make())
    theirs.channel.pause()
    const message = pattern(1_048_576, 3)
    for (let sent = 0; sent < 32; sent += 1) ours.channel.send([message])
    await new Promise((resolve) => setImmediate(resolve))
    assert.ok(
      ours.channel.bufferedBytes > 8 * 1_048_576,
      `${ours.channel.bufferedBytes} bytes wait`,
    )
    assert.ok(theirs.messages.length <= 1, 'at most what was being read has arrived')
    assert.equal(ours.drains, 0)
    theirs.channel.resume()
    await theirs.until(() => theirs.messages.length === 32)
    await ours.until(() => ours.drains === 1)
    assert.equal(ours.channel.bufferedBytes, 0)
    await listener.close()
  })

  void test(`${name}: closing tells each end once, after what was sent before`, async () => {
    const { ours, theirs, listener } = await open(make())
    for (let sent = 0; sent < 100; sent += 1) ours.channel.send([pattern(sent, 4)])
    ours.channel.close()
    ours.channel.close()
    ours.channel.send([pattern(1, 1)])
    await theirs.until(() => theirs.closings.length > 0)
    await ours.until(() => ours.closings.length > 0)
    assert.equal(theirs.messages.length, 100)
    assert.ok(isMqError(theirs.closings[0], 'connection_lost'))
    theirs.channel.send([pattern(1, 1)])
    await listener.close()
    assert.deepEqual(ours.closings, [undefined])
    assert.equal(theirs.closings.length, 1)
  })

  void test(`${name}: connecting where nothing listens is refused as unreachable`, async () => {
    const transport = make()
    const { listener } = await open(transport)
    await listener.close()
    await assert.rejects(transport.connect(listener.address), (error) =>
      isMqError(error, 'unreachable'),
    )
  })

  void test(`${name}: connecting can be aborted`, async () => {
    const transport = make()
    const { listener } = await open(transport)
    const abort = new AbortController()
    const connecting = transport.connect(listener.address, { signal: abort.signal })
    abort.abort()
    await assert.rejects(connecting, (error) => isMqError(error, 'aborted'))
    await assert.rejects(transport.connect(listener.address, { signal: abort.signal }), (error) =>
      isMqError(error, 'aborted'),
    )
    await listener.close()
  })

  void test(`${name}: an address listens once, and the refusal names it`, async () => {
    const transport = make()
    const { listener } = await open(transport)
    await assert.rejects(
      transport.listen(listener.address, () => undefined),
      (error) => isMqError(error, 'port_in_use') && error.message.includes(listener.address),
    )
    await listener.close()
  })

  void test(`${name}: closing a listener closes its channels`, async () => {
    const { ours, theirs, listener } = await open(make())
    await listener.close()
    await ours.until(() => ours.closings.length === 1)
    await theirs.until(() => theirs.closings.length === 1)
    assert.ok(isMqError(ours.closings[0], 'connection_lost'))
  })
}
