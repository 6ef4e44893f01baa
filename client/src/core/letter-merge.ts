import type { DeadLetter, DeadLetterSummary } from '../api/dead-letters.ts'

/** The letters of one set, oldest first, as they are read. */
export type LetterSource = AsyncIterator<DeadLetter, undefined>

/** Letters of many sets, oldest first: of each set one is looked at at a time. */
export async function* mergeLetters(
  sources: readonly LetterSource[],
): AsyncGenerator<DeadLetter, undefined> {
  const heads = await Promise.all(
    sources.map(async (source) => ({ source, next: await source.next() })),
  )
  for (;;) {
    let oldest: { source: LetterSource; letter: DeadLetter; index: number } | undefined
    for (const [index, { source, next }] of heads.entries()) {
      if (next.done === true) continue
      const letter = next.value
      if (oldest === undefined || letter.diedAt < oldest.letter.diedAt)
        oldest = { source, letter, index }
    }
    if (oldest === undefined) return undefined
    yield oldest.letter
    heads[oldest.index] = { source: oldest.source, next: await oldest.source.next() }
  }
}

/** What sets tell of the same fingerprints, as one; most letters first. */
export function mergeSummaries(told: readonly DeadLetterSummary[]): DeadLetterSummary[] {
  const merged = new Map<string, DeadLetterSummary>()
  for (const summary of told) {
    const known = merged.get(summary.fingerprint)
    merged.set(summary.fingerprint, known === undefined ? summary : merge(known, summary))
  }
  return [...merged.values()].sort(
    (a, b) => b.count - a.count || (a.fingerprint < b.fingerprint ? -1 : 1),
  )
}

/** The error told is that of the newest. */
function merge(a: DeadLetterSummary, b: DeadLetterSummary): DeadLetterSummary {
  return {
    ...(b.lastAt >= a.lastAt ? b : a),
    count: a.count + b.count,
    open: a.open + b.open,
    firstAt: Math.min(a.firstAt, b.firstAt),
    lastAt: Math.max(a.lastAt, b.lastAt),
  }
}
