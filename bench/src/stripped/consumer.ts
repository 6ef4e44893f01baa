/** The consuming process of the stripped path: one held fetch per partition, checksums checked, messages made. */
import { crc32 } from 'node:zlib'
import { assert, type Deferred, deferred, present } from '@popmq/kit'
import type { WebSocket } from 'ws'
import { sharedMs } from '../monotonic.ts'
import { takePart } from '../participant.ts'
import type { Consumed, ConsumeGiven } from '../participants/sides.ts'
import { Tally } from '../tally.ts'
import { openConnection } from './connection.ts'
import { crcStart, type Header, headerBytes, kinds, recordHeadBytes, writeHeader } from './wire.ts'

interface Reading {
  readonly given: ConsumeGiven
  readonly tally: Tally
  readonly finished: Deferred<Consumed>
}

let socket: WebSocket | undefined
let reading: Reading | undefined

takePart({
  connect: async ({ port }: { port: number }) => {
    socket = await openConnection(port, onFetched)
    return {}
  },
  start: async (given: ConsumeGiven) => {
    reading = { given, tally: new Tally(given), finished: deferred<Consumed>() }
    for (let partition = 0; partition < given.partitions; partition += 1)
      fetch(given.run, partition, 0)
    return {}
  },
  finish: () => present(reading, 'start comes before finish').finished.promise,
})

function fetch(run: number, partition: number, offset: number): void {
  const header = { kind: kinds.fetch, partition, run, correlationId: partition, offset, count: 0 }
  present(socket, 'connect comes before start').send(
    writeHeader(Buffer.allocUnsafe(headerBytes), header),
  )
}

function onFetched({ run, partition, offset }: Header, records: Buffer): void {
  const { given, tally, finished } = present(reading, 'a fetch is answered while reading')
  // A held fetch of an earlier run is never answered: its partition gets nothing more.
  assert(run === given.run, 'a reply belongs to the run that is read')
  fetch(run, partition, offset)
  for (let at = 0; at < records.length;) {
    const end = at + records.readUInt32LE(at)
    assert(
      crc32(records.subarray(at + crcStart, end)) === records.readUInt32LE(at + 4),
      'a record arrives as it was sent',
    )
    const message = {
      offset: records.readDoubleLE(at + 16),
      appendedAt: records.readDoubleLE(at + 24),
      value: records.subarray(at + recordHeadBytes, end),
    }
    tally.take(message.value, partition)
    at = end
  }
  if (tally.isComplete) finished.resolve({ lastReceiveMs: sharedMs() })
}
