import { once } from 'node:events'
import net from 'node:net'

/**
 * Ends a session at the server behind its owner's back, as an expiry does: takes it up on a connection of its own,
 * with the id and password in the `handshake` that its owner was answered, and closes it.
 */
export async function expireSession(port: number, handshake: Buffer): Promise<void> {
  const id = sessionId(handshake)
  const password = handshake.subarray(24, 40)
  const socket = net.connect(port, '127.0.0.1')
  socket.on('error', (error) => {
    throw error
  })
  socket.write(frameOf([int(0), Buffer.alloc(8), int(10_000), id, int(password.length), password]))
  socket.write(frameOf([int(1), int(closeSession)]))
  // What it answers does not matter, but must be read for the end to be seen.
  socket.resume()
  await once(socket, 'close')
}

/** The id of the session that a handshake was answered with. */
export function sessionId(handshake: Buffer): Buffer {
  return handshake.subarray(12, 20)
}

const closeSession = -11

function int(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function frameOf(parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  return Buffer.concat([int(body.length), body])
}
