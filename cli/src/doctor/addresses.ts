import type { Clock } from '@popmq/kit'
import { MqError } from '@popmq/protocol'
import { Caller, webSocketTransport } from '@popmq/transport'
import type { Invocation } from '../invocation.ts'
import type { Finding } from './finding.ts'

const helloTimeoutMs = 3_000

/** Coordinators at the addresses given, brokers at the addresses that they advertise, seen from this machine. */
export async function addressChecks(invocation: Invocation): Promise<readonly Finding[]> {
  const { clock } = invocation
  const servers = invocation.settings.server.split(',').map((server) => server.trim())
  const coordinators = await Promise.all(
    servers.map((address) =>
      reach({ check: `coordinator ${address}`, role: 'coordinator', address, clock }),
    ),
  )
  if (coordinators.every(({ ok }) => !ok)) return coordinators
  return [...coordinators, ...(await brokerChecks(invocation))]
}

async function brokerChecks(invocation: Invocation): Promise<readonly Finding[]> {
  const { clock } = invocation
  try {
    const client = await invocation.connect()
    const { brokers } = await client.admin().cluster({ signal: invocation.signal })
    if (brokers.length === 0) {
      return [
        {
          check: 'brokers',
          ok: false,
          what: 'no broker has registered',
          mend: 'start one: popmq broker --id 1 …',
        },
      ]
    }
    return await Promise.all(
      brokers.map(({ id, address }) =>
        reach({ check: `broker ${id}`, role: 'broker', address, clock }),
      ),
    )
  } catch (error) {
    if (!(error instanceof MqError)) throw error
    return [
      { check: 'cluster', ok: false, what: error.what, mend: 'look at the log of the coordinator' },
    ]
  }
}

/** What a check of one address wants to find there. */
interface Wanted {
  readonly check: string
  readonly role: 'coordinator' | 'broker'
  readonly address: string
  readonly clock: Clock
}

async function reach({ check, role, address, clock }: Wanted): Promise<Finding> {
  try {
    const found = await greet(address, clock)
    if (found === role) return { check, ok: true, what: `answers at ${address}` }
    return {
      check,
      ok: false,
      what: `a ${found} answers at ${address}`,
      mend: `name the address of a ${role}`,
    }
  } catch (error) {
    if (!(error instanceof MqError)) throw error
    const mend = 'check that it runs, and that its --advertise names this address as others see it'
    return { check, ok: false, what: error.what, mend }
  }
}

/** Says hello. @returns the role that answers @throws MqError `unreachable` and others when none does */
export async function greet(address: string, clock: Clock): Promise<'coordinator' | 'broker'> {
  const caller = await Caller.connect(webSocketTransport(), address, {
    clock,
    client: 'popmq-doctor',
    helloTimeoutMs,
  })
  const { role } = caller.hello
  await caller.close()
  return role
}
