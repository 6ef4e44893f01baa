/** Of several runs: the middle, and how far they lie apart. */
export interface Summary {
  readonly messagesPerSecond: number
  readonly low: number
  readonly high: number
  /** (high − low) ÷ median. */
  readonly spread: number
}

/** `rates` holds at least one. */
export function summarize(rates: readonly number[]): Summary {
  const sorted = rates.toSorted((a, b) => a - b)
  const middle = median(rates)
  const low = sorted[0] ?? 0
  const high = sorted.at(-1) ?? 0
  return {
    messagesPerSecond: Math.round(middle),
    low: Math.round(low),
    high: Math.round(high),
    spread: rounded((high - low) / middle),
  }
}

/** The middle one, or between the two; 0 of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const at = Math.floor(sorted.length / 2)
  const upper = sorted[at] ?? 0
  return sorted.length % 2 === 1 ? upper : ((sorted[at - 1] ?? 0) + upper) / 2
}

/** Three digits behind the point. */
export function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000
}
