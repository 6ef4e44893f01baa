import { createServer } from 'node:net'
import type { Clock } from '@popmq/kit'
import { MqError } from '@popmq/protocol'
import { greet } from './addresses.ts'
import type { Finding } from './finding.ts'

/** The ports of `popmq dev` for the coordinator and the first broker: free, or used by PopMQ itself. */
export async function portChecks(portBase: number, clock: Clock): Promise<readonly Finding[]> {
  return Promise.all([portBase, portBase + 10].map((port) => portCheck(port, clock)))
}

async function portCheck(port: number, clock: Clock): Promise<Finding> {
  const check = `port ${port}`
  const code = await tryPort(port)
  if (code === undefined) return { check, ok: true, what: 'free' }
  const mend = 'stop the program that listens there, or choose other ports with --port-base'
  if (code !== 'EADDRINUSE')
    return { check, ok: false, what: `cannot be listened on: ${code}`, mend }
  try {
    return { check, ok: true, what: `in use by a PopMQ ${await greet(`127.0.0.1:${port}`, clock)}` }
  } catch (error) {
    if (!(error instanceof MqError)) throw error
    return { check, ok: false, what: 'in use by another program', mend }
  }
}

/** @returns what listening there was refused with, undefined when the port is free */
function tryPort(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () =>
      server.close(() => resolve(undefined)),
    )
  })
}
