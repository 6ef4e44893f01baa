import path from 'node:path'
import { Participant } from './participant.ts'
import { type MeasuredPath, type NodeFlags, openPath } from './path.ts'

/** The stripped path: see stripped/server.ts. Its file is in the folder `data`. */
export async function openStrippedPath(data: string, nodeFlags: NodeFlags): Promise<MeasuredPath> {
  const server = new Participant(new URL('stripped/server.js', import.meta.url), {
    name: 'stripped server',
    nodeFlags: nodeFlags('stripped-server'),
  })
  let connect
  try {
    connect = await server.call<{ port: number }>('listen', {
      path: path.join(data, 'stripped.log'),
    })
  } catch (error) {
    await server.close()
    throw error
  }
  return openPath({
    name: 'stripped',
    producer: new URL('stripped/producer.js', import.meta.url),
    consumer: new URL('stripped/consumer.js', import.meta.url),
    nodeFlags,
    connect,
    server,
  })
}
