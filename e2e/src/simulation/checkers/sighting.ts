import type { History, PartitionName, ReadMessage } from '../history.ts'

/** A message where someone saw it. */
export interface Sighting extends ReadMessage {
  readonly partition: PartitionName
  readonly reader: string
}

/** Everything that was ever read, in the order of reading. */
export function* sightings({
  polls,
  final,
}: Pick<History, 'polls' | 'final'>): Generator<Sighting> {
  for (const { partition, reader, messages } of polls) {
    for (const message of messages) yield { ...message, partition, reader }
  }
  for (const [partition, { messages }] of final) {
    for (const message of messages) yield { ...message, partition, reader: 'the final reader' }
  }
}

/** Where each value lies at the end: value → places. */
export function finalPlaces({ final }: Pick<History, 'final'>): Map<string, FinalPlace[]> {
  const places = new Map<string, FinalPlace[]>()
  for (const [partition, { messages }] of final) {
    for (const { value, offset } of messages) {
      const others = places.get(value)
      if (others === undefined) places.set(value, [{ partition, offset }])
      else others.push({ partition, offset })
    }
  }
  return places
}

export interface FinalPlace {
  readonly partition: PartitionName
  readonly offset: number
}

/** How far the low offset of each partition may have risen by what was asked for; topics that expire have no bound. */
export function allowedLows({ removals }: Pick<History, 'removals'>): Map<PartitionName, number> {
  const lows = new Map<PartitionName, number>()
  for (const removal of removals) {
    if (removal.kind !== 'purge') continue
    lows.set(removal.partition, Math.max(lows.get(removal.partition) ?? 0, removal.before))
  }
  return lows
}
