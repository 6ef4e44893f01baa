import { byPartition } from '../group-history.ts'
import { type Checker, topicIdOf, type Violation } from '../history.ts'

/** Once the group has read all, each message from its start on was handed to a member, and progress is at the end. */
export const groupLoss: Checker = (history) => {
  const { group, final } = history
  if (group === undefined) return []
  const topics = new Set([...group.progress.keys()].map(topicIdOf))
  const events = new Map(byPartition(group.events).map((each) => [each.partition, each]))
  const violations: Violation[] = []
  const lost = (what: string): void => void violations.push({ checker: 'group-loss', what })
  for (const [partition, { high, messages }] of final) {
    if (!topics.has(topicIdOf(partition))) continue
    const progress = group.progress.get(partition) ?? 0
    if (progress !== high) lost(`${partition}: progress is ${progress} and the end is ${high}`)
    const told = events.get(partition)?.of('told') ?? []
    const first = Math.min(...told.map(({ event }) => event.offset))
    const start = group.from === 'earliest' ? 0 : first
    const handed = new Set(
      events
        .get(partition)
        ?.of('handed')
        .flatMap(({ event }) => event.offsets),
    )
    const missing = messages.filter(({ offset }) => offset >= start && !handed.has(offset))
    const [at] = missing
    if (at !== undefined)
      lost(
        `${partition}: ${missing.length} messages were handed to nobody, the first at ${at.offset}`,
      )
  }
  return violations
}
