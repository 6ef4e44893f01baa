import { byPartition, type PartitionEvents } from '../group-history.ts'
import type { Checker } from '../history.ts'

/** What was committed is never forgotten: no later grant goes on below it, and no later commit, but for a reset. */
export const progressRegress: Checker = ({ group }) =>
  byPartition(group?.events ?? []).flatMap((events) =>
    judged(events).map((what) => ({
      checker: 'progress-regress',
      what: `${events.partition}: ${what}`,
    })),
  )

function judged(events: PartitionEvents): string[] {
  const commits = events.of('committed')
  const found: string[] = []
  for (const { at, event } of [...events.of('told'), ...commits]) {
    const { epoch, offset, asked, member } = event
    const forgotten = commits.find(
      ({ at: ackedAt, event: before }) =>
        before.offset > offset &&
        // By the epochs where they tell; else by what was known when this was asked for.
        (before.epoch < epoch || (before.epoch === epoch && ackedAt < asked)) &&
        !events.mayBeReset(offset, [before.asked, at]),
    )
    if (forgotten === undefined) continue
    const { event: before } = forgotten
    const does = event.kind === 'told' ? 'goes on at' : 'commits'
    found.push(
      `${member} ${does} ${offset} under epoch ${epoch}, below ${before.offset} which ${before.member} committed under epoch ${before.epoch}`,
    )
  }
  return found
}
