import { msOf } from '@popmq/kit'
import { limits } from '@popmq/protocol'

/** How long a failed message waits for its next delivery, as a policy writes it; the last step repeats. */
type BackOff =
  | { readonly kind: 'steps'; readonly steps: readonly number[] }
  | { readonly kind: 'exponential'; readonly firstMs: number; readonly mostMs: number }

/**
 * How long a message waits after its `failures`th failed delivery, 1 being the first: 1 ms to `limits.delayMs`.
 *
 *    exp:1s..10m   1s, 2s, 4s, … and 10m from then on
 *    1s,10s,1m     1s, 10s, 1m and 1m from then on
 *    200ms         200ms each time
 *
 * The coordinator has checked the text. One that is none of these, as a newer coordinator may know it, waits as
 * `exp:1s..10m` does: a message that failed must wait for something.
 */
export function backOffMs(text: string, failures: number): number {
  const backOff = backOffOf(text)
  if (backOff.kind === 'exponential') {
    const { firstMs, mostMs } = backOff
    return Math.min(firstMs * 2 ** Math.max(0, failures - 1), mostMs)
  }
  const { steps } = backOff
  return steps[Math.min(Math.max(failures, 1), steps.length) - 1] ?? fallback.firstMs
}

const fallback = { kind: 'exponential', firstMs: 1_000, mostMs: 600_000 } as const

/** What was read before: there are as many texts as policies, and a text always means the same. */
const known = new Map<string, BackOff>()
const mostKnown = 1_000

function backOffOf(text: string): BackOff {
  const found = known.get(text)
  if (found !== undefined) return found
  if (known.size === mostKnown) known.clear()
  const made = parse(text) ?? fallback
  known.set(text, made)
  return made
}

function parse(text: string): BackOff | undefined {
  const isExponential = text.startsWith('exp:')
  const steps = isExponential ? text.slice(4).split('..').map(stepMs) : text.split(',').map(stepMs)
  if (steps.some(Number.isNaN)) return undefined
  if (!isExponential) return { kind: 'steps', steps }
  const [firstMs, mostMs, tooMany] = steps
  if (firstMs === undefined || mostMs === undefined || tooMany !== undefined) return undefined
  return { kind: 'exponential', firstMs, mostMs }
}

/** At most `limits.delayMs`. @returns NaN for what is not a time above 0 */
function stepMs(text: string): number {
  const ms = msOf(text)
  return ms > 0 ? Math.min(ms, limits.delayMs) : Number.NaN
}
