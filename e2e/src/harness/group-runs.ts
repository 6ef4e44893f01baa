import type { Place, Sighting } from './history.ts'
import type { JsonLine } from './program.ts'
import { sightings } from './reading.ts'

/** What one member of a group printed, in its order. */
export interface MemberReading {
  readonly member: string
  readonly lines: readonly JsonLine[]
}

/** Offsets of one partition that one member saw without a gap: the first of them, and the last. */
export interface Run {
  readonly member: string
  readonly partition: number
  readonly first: number
  readonly last: number
}

/** The runs of all members, by partition and first offset. A partition that goes from hand to hand has several. */
export function runsOf(readings: readonly MemberReading[]): Run[] {
  const all = readings.flatMap(({ member, lines }) => {
    const runs: Run[] = []
    const open = new Map<number, Run>()
    for (const { partition, offset } of places(lines)) {
      const before = open.get(partition)
      const goesOn = before !== undefined && offset === before.last + 1
      if (before !== undefined && !goesOn) runs.push(before)
      const first = goesOn ? before.first : offset
      open.set(partition, { member, partition, first, last: offset })
    }
    return [...runs, ...open.values()]
  })
  return all.toSorted((a, b) => a.partition - b.partition || a.first - b.first || a.last - b.last)
}

/** Offsets that were delivered twice, and to whom: a run that begins before the one ahead of it has ended. */
export interface Overlap {
  readonly partition: number
  readonly first: number
  readonly last: number
  readonly members: readonly [string, string]
}

export function overlapsOf(runs: readonly Run[]): Overlap[] {
  return runs.flatMap((run, index) =>
    runs.slice(index + 1).flatMap((later): Overlap[] => {
      if (later.partition !== run.partition || later.first > run.last) return []
      const { partition } = run
      const members = [run.member, later.member] as const
      return [{ partition, first: later.first, last: Math.min(run.last, later.last), members }]
    }),
  )
}

/** Each message once, by partition and offset, as one reader of everything would have seen them. */
export function together(readings: readonly MemberReading[]): Sighting[] {
  const seen = new Map<string, Sighting>()
  for (const sighting of readings.flatMap(({ lines }) => sightings(lines))) {
    // The id too: two messages at one place are for the history to find.
    seen.set(`${sighting.partition}@${sighting.offset} ${sighting.id}`, sighting)
  }
  return [...seen.values()].toSorted((a, b) => a.partition - b.partition || a.offset - b.offset)
}

function places(lines: readonly JsonLine[]): readonly Place[] {
  return lines as readonly unknown[] as readonly Place[]
}
