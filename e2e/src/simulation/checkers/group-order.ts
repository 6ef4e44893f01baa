import { byPartition, type PartitionEvents } from '../group-history.ts'
import type { Checker } from '../history.ts'

/** Under each grant the messages come in order and without a gap, from where it was told to go on. */
export const groupOrder: Checker = ({ group }) =>
  byPartition(group?.events ?? []).flatMap((events) =>
    judged(events).map((what) => ({
      checker: 'group-order',
      what: `${events.partition}: ${what}`,
    })),
  )

function judged(events: PartitionEvents): string[] {
  const due = new Map<string, number>()
  const found: string[] = []
  for (const { event } of events.all) {
    if (event.kind !== 'told' && event.kind !== 'handed') continue
    const grant = `${event.member} under epoch ${event.epoch}`
    if (event.kind === 'told') {
      if (event.isNew) due.set(grant, event.offset)
      continue
    }
    for (const offset of event.offsets) {
      const expected = due.get(grant) ?? offset
      if (offset !== expected)
        found.push(`${offset} was handed to ${grant} where ${expected} was due`)
      due.set(grant, offset + 1)
    }
  }
  return found
}
