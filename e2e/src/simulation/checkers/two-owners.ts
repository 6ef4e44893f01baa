import { byPartition, type PartitionEvents } from '../group-history.ts'
import type { Checker } from '../history.ts'

/**
 * No partition has two owners: an epoch is told to one member; what is handed out is granted, and never under an epoch
 * when something of a later one was handed out; no commit counts that was asked for when a later epoch was told.
 */
export const twoOwners: Checker = ({ group }) =>
  byPartition(group?.events ?? []).flatMap((events) =>
    judged(events).map((what) => ({ checker: 'two-owners', what: `${events.partition}: ${what}` })),
  )

function judged(events: PartitionEvents): string[] {
  const owners = new Map<number, string>()
  /** Where each epoch, or a later one, was told first. */
  const highest: { readonly epoch: number; readonly at: number }[] = []
  const found: string[] = []
  let handed = { epoch: 0, member: '' }
  for (const { at, event } of events.all) {
    if (event.kind === 'told') {
      const owner = owners.get(event.epoch) ?? event.member
      owners.set(event.epoch, owner)
      if (owner !== event.member)
        found.push(`epoch ${event.epoch} was told to ${owner} and to ${event.member}`)
      if (event.epoch > (highest.at(-1)?.epoch ?? 0)) highest.push({ epoch: event.epoch, at })
    } else if (event.kind === 'handed') {
      const { epoch, member } = event
      if (epoch === 0) found.push(`${member} was handed messages without a grant`)
      if (epoch < handed.epoch)
        found.push(
          `${member} was handed messages under epoch ${epoch}, after ${handed.member} under ${handed.epoch}`,
        )
      else handed = { epoch, member }
    } else if (event.kind === 'committed') {
      const { epoch, member, asked, offset } = event
      const later = highest.find((each) => each.epoch > epoch && each.at < asked)
      if (later !== undefined)
        found.push(
          `${member} committed ${offset} under epoch ${epoch}, after epoch ${later.epoch} was told`,
        )
    }
  }
  return found
}
