/** The producing process of the stripped path: lays out records, checksums them, keeps a window of requests filled. */
import { crc32 } from 'node:zlib'
import { deferred, present } from '@popmq/kit'
import type { WebSocket } from 'ws'
import { sharedMs } from '../monotonic.ts'
import { takePart } from '../participant.ts'
import type { Produced, ProduceGiven } from '../participants/sides.ts'
import { writeNumber } from '../tally.ts'
import { partitions } from '../workload.ts'
import { openConnection } from './connection.ts'
import { crcStart, headerBytes, kinds, recordHeadBytes, writeHeader } from './wire.ts'

const requestsUnderWay = 8

let socket: WebSocket | undefined
let onAck: () => void = () => undefined

takePart({
  connect: async ({ port }: { port: number }) => {
    socket = await openConnection(port, () => onAck())
    return {}
  },
  produce: async (given: ProduceGiven): Promise<Produced> => {
    const firstSendMs = sharedMs()
    await produceAll(present(socket, 'connect comes before produce'), given)
    return { firstSendMs, lastAckMs: sharedMs() }
  },
})

async function produceAll(to: WebSocket, given: ProduceGiven): Promise<void> {
  const done = deferred()
  let sent = 0
  let requests = 0
  let underWay = 0
  const pump = (): void => {
    for (; underWay < requestsUnderWay && sent < given.messages; underWay += 1) {
      const count = Math.min(given.batch, given.messages - sent)
      to.send(makeRequest(given, { first: sent, count, correlationId: requests }))
      sent += count
      requests += 1
    }
  }
  onAck = () => {
    underWay -= 1
    if (underWay === 0 && sent === given.messages) done.resolve()
    else pump()
  }
  pump()
  await done.promise
}

function makeRequest(
  { run, sizeBytes }: ProduceGiven,
  { first, count, correlationId }: { first: number; count: number; correlationId: number },
): Buffer {
  const recordBytes = recordHeadBytes + sizeBytes
  const request = Buffer.allocUnsafe(headerBytes + count * recordBytes)
  const partition = correlationId % partitions
  writeHeader(request, { kind: kinds.append, partition, run, correlationId, offset: 0, count })
  for (let index = 0; index < count; index += 1) {
    const at = headerBytes + index * recordBytes
    const end = at + recordBytes
    request.writeUInt32LE(recordBytes, at)
    request.fill(0, at + 8, at + recordHeadBytes)
    request.fill(0x61, at + recordHeadBytes, end)
    writeNumber(request.subarray(at + recordHeadBytes, end), first + index)
    request.writeUInt32LE(crc32(request.subarray(at + crcStart, end)), at + 4)
  }
  return request
}
