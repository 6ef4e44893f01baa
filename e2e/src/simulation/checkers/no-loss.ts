import { type Checker, type History, partitionName, type Send, type Violation } from '../history.ts'
import { allowedLows, finalPlaces } from './sighting.ts'

/**
 * A message acknowledged at `disk` can be read at the end, unless its topic was deleted or something that was asked for
 * took it away. One acknowledged at `received` may be gone too, if a broker crashed after it was sent.
 */
export const noLoss: Checker = (history) => {
  const places = finalPlaces(history)
  const isGone = removed(history)
  const violations: Violation[] = []
  for (const send of history.sends) {
    const { receipt, value } = send
    if (send.state !== 'ok' || receipt === undefined || receipt.duplicate) continue
    // Whether it became visible is judged elsewhere.
    if (send.delay !== undefined) continue
    if (places.has(value) || isGone(send, receipt)) continue
    if (send.acks === 'received' && crashedAfter(history, send)) continue
    violations.push({
      checker: 'no-loss',
      what: `${describe(send)} was acknowledged and cannot be read`,
    })
  }
  return [...violations, ...risenTooFar(history)]
}

/** No low offset is above what was asked for. */
function risenTooFar(history: History): Violation[] {
  const lows = allowedLows(history)
  const violations: Violation[] = []
  for (const { id, partitions, expires } of history.topics.values()) {
    for (let partition = 0; partition < partitions; partition += 1) {
      const name = partitionName(id, partition)
      const low = history.final.get(name)?.low ?? 0
      const allowed = lows.get(name) ?? 0
      if (expires || low <= allowed) continue
      const what = `partition ${name} begins at ${low}, purges reached ${allowed}`
      violations.push({ checker: 'no-loss', what })
    }
  }
  return violations
}

type Receipt = NonNullable<Send['receipt']>

function removed(history: History): (send: Send, receipt: Receipt) => boolean {
  const lows = allowedLows(history)
  const incarnations = [...history.topics.values()]
  return ({ topic, invokedMs }, { partition, offset }) => {
    for (const removal of history.removals) {
      if (removal.kind === 'delete' && removal.topic === topic && removal.atMs >= invokedMs)
        return true
    }
    return incarnations.some(({ id, name, expires }) => {
      if (name !== topic) return false
      const at = partitionName(id, partition)
      const final = history.final.get(at)
      if (final === undefined) return false
      return offset < (expires ? final.low : Math.min(final.low, lows.get(at) ?? 0))
    })
  }
}

function crashedAfter({ crashes }: History, { invokedMs }: Send): boolean {
  return crashes.some(({ atMs }) => atMs >= invokedMs)
}

function describe({ value, topic, acks, receipt }: Send): string {
  return `${value.replace(/\.+$/, '')} (${acks}, ${topic}/${receipt?.partition} at ${receipt?.offset})`
}
