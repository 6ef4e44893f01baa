/** The process in which all of wake-up happens: what is sent and what is received are told by one clock. */
import { connect } from '@popmq/client'
import { present, systemClock } from '@popmq/kit'
import { takePart } from '../participant.ts'
import { type WakeUpClients, type WakeUpGiven, wakeUps, type WokenUp } from './wake-ups.ts'

let connected: WakeUpClients | undefined

takePart({
  connect: async ({ servers }: { servers: string }) => {
    const [sending, first, second] = await Promise.all([
      connect(servers, { client: 'popmq-bench-sending' }),
      connect(servers, { client: 'popmq-bench-first' }),
      connect(servers, { client: 'popmq-bench-second' }),
    ])
    connected = { sending, first, second }
    return {}
  },
  goAround: (given: WakeUpGiven): Promise<WokenUp> => {
    const clients = present(connected, 'connect comes before goAround')
    return wakeUps(given, { clients, clock: systemClock })
  },
})
