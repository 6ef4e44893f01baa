import { createServer } from 'node:net'
import { MqError } from '@popmq/client'

/** As many ports of this machine as asked for, free at this moment and all different. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  try {
    return await Promise.all(servers.map(listen))
  } finally {
    await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))))
  }
}

function listen(server: ReturnType<typeof createServer>): Promise<number> {
  return new Promise((resolve, reject) => {
    server.on('error', reject)
    server.listen({ port: 0, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address()
      if (address === null || typeof address === 'string')
        reject(new MqError('internal', 'a listening server has a port'))
      else resolve(address.port)
    })
  })
}
