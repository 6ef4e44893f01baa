import type { Clock } from '@popmq/kit'
import {
  deadChange,
  deadGroups,
  deadList,
  deadShow,
  delayChange,
  delayList,
  delayShow,
  inflightList,
  inflightRelease,
  pop,
  popHint,
  retryChange,
  retryList,
  setAside,
  settle,
} from '@popmq/protocol'
import { type Route, route } from '@popmq/transport'
import type { ReplicaSet } from './core/replica-set.ts'
import { handleDeadChange } from './handlers/dead-change.ts'
import { handleDeadGroups } from './handlers/dead-groups.ts'
import { handleDeadList } from './handlers/dead-list.ts'
import { handleDeadShow } from './handlers/dead-show.ts'
import { handleDelayChange } from './handlers/delay-change.ts'
import { handleDelayList } from './handlers/delay-list.ts'
import { handleDelayShow } from './handlers/delay-show.ts'
import {
  handleInflightList,
  handleInflightRelease,
  type InflightParts,
} from './handlers/inflight.ts'
import { handlePop, handlePopHint, type PopParts } from './handlers/pop.ts'
import { handleRetryChange, handleRetryList, type RetriesParts } from './handlers/retries.ts'
import { handleSetAside } from './handlers/set-aside.ts'
import { handleSettle } from './handlers/settle.ts'

export interface DeliveryRoutesParts {
  /** @throws MqError while the broker does not serve */
  readonly serving: () => ReplicaSet
  readonly clock: Clock
  readonly isStopping: () => boolean
}

/** What a broker answers about deliveries: pop and settle, what waits, and dead letters. */
export function deliveryRoutes({ serving, clock, isStopping }: DeliveryRoutesParts): Route[] {
  const popping = (): PopParts => ({ dispatch: serving().delivering.dispatch, clock, isStopping })
  const inFlight = (): InflightParts => {
    const { delivering, viewSet } = serving()
    return { dispatch: delivering.dispatch, delivery: viewSet.delivery }
  }
  const retrying = (): RetriesParts => {
    const { delivering, viewSet } = serving()
    const { dispatch, log } = delivering
    return { dispatch, log, clock, delivery: viewSet.delivery }
  }
  return [
    route(pop, (request, context) => handlePop(request, context, popping())),
    route(popHint, (request, context) => handlePopHint(request, context, popping())),
    route(settle, (request) => handleSettle(request, popping())),
    route(setAside, (request) => {
      const { delivering, fences, topics } = serving()
      const { dispatch, log } = delivering
      return handleSetAside(request, { dispatch, log, fences, topics, clock })
    }),
    route(inflightList, (request) => handleInflightList(request, inFlight())),
    route(inflightRelease, (request) => handleInflightRelease(request, inFlight())),
    route(retryList, (request) => handleRetryList(request, retrying())),
    route(retryChange, (request) => handleRetryChange(request, retrying())),
    route(delayList, (request) => handleDelayList(request, serving().viewSet)),
    route(delayShow, (request) => {
      const { delivering, viewSet } = serving()
      const readRecord = delivering.readRecordAt
      return handleDelayShow(request, { delays: viewSet.delays, readRecord })
    }),
    route(delayChange, (request) => {
      return handleDelayChange(request, { firing: serving().delivering.firing, clock })
    }),
    route(deadList, (request) => handleDeadList(request, letters(serving()))),
    route(deadShow, (request) => handleDeadShow(request, letters(serving()))),
    route(deadGroups, (request) => handleDeadGroups(request, serving().viewSet)),
    route(deadChange, (request) => {
      return handleDeadChange(request, { changes: serving().delivering.letterChanges })
    }),
  ]
}

function letters({ viewSet, delivering }: ReplicaSet): Parameters<typeof handleDeadList>[1] {
  const { letters: all } = viewSet
  return { letters: all, readLetter: (group, letter) => delivering.readLetter(group, letter) }
}
