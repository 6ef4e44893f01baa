import type { Checker, Violation } from '../history.ts'
import { type Sighting, sightings } from './sighting.ts'

/** One offset of one partition of one incarnation has one content for ever, whoever reads it and when. */
export const offsetReuse: Checker = (history) => {
  const contents = new Map<string, Sighting>()
  const violations: Violation[] = []
  for (const seen of sightings(history)) {
    const place = `${seen.partition} at ${seen.offset}`
    const first = contents.get(place)
    if (first === undefined) contents.set(place, seen)
    else if (first.value !== seen.value || first.appendedAt !== seen.appendedAt) {
      violations.push({
        checker: 'offset-reuse',
        what: `${place}: ${tell(first)}, then ${tell(seen)}`,
      })
    }
  }
  return violations
}

function tell({ reader, value, appendedAt }: Sighting): string {
  return `${reader} read ${value.replace(/\.+$/, '')} of ${appendedAt}`
}
