import { type FaultKind, faultKinds } from './fault-plan.ts'
import type { Campaign } from './nemesis.ts'
import { type ProblemKind, type Problems, promises } from './problems.ts'

export interface Verdict {
  readonly passed: number
  readonly failed: number
}

/**
 * Prints the checks. In a run that came to its end a check that nothing contradicts has passed; in a void one it proves
 * nothing and is left out.
 */
export function judge(
  problems: Problems,
  { isVoid, write }: { readonly isVoid: boolean; readonly write: (line: string) => void },
): Verdict {
  const kinds = Object.keys(promises) as ProblemKind[]
  let failed = 0
  for (const kind of kinds) {
    const { count, sentences } = problems.of(kind)
    if (count > 0) write(`FAILED ${promises[kind]}`)
    else if (!isVoid) write(`ok     ${promises[kind]}`)
    if (count === 0) continue
    failed += 1
    for (const sentence of sentences) write(`       ${sentence}`)
    if (count > sentences.length) write(`       … ${count} in all`)
  }
  return { passed: isVoid ? 0 : kinds.length - failed, failed }
}

/** Prints how often each kind of fault came, and the time until a send was acknowledged again. */
export function printFaults({ survived }: Campaign, write: (line: string) => void): void {
  write(row(['fault', 'survived', 'recovery ms: median', 'max']))
  for (const kind of faultKinds) {
    const times = recoveries({ survived }, kind)
    const [median, most] = times.length === 0 ? ['-', '-'] : [middle(times), times.at(-1)]
    write(row([kind, times.length, median, most]))
  }
}

function recoveries({ survived }: Pick<Campaign, 'survived'>, kind: FaultKind): number[] {
  return survived
    .filter((one) => one.kind === kind)
    .map(({ receipt }) => Math.round(receipt.recoveryMs))
    .toSorted((a, b) => a - b)
}

/** The median; of an even number the higher of the two in the middle. */
function middle(sorted: readonly number[]): number | undefined {
  return sorted[Math.floor(sorted.length / 2)]
}

function row([name, ...numbers]: readonly (string | number | undefined)[]): string {
  return `${String(name).padEnd(18)}${numbers.map((one) => String(one).padStart(20)).join('')}`
}
