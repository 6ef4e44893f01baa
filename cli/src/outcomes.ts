import type { ErrorName } from '@popmq/protocol'
import type { Invocation } from './invocation.ts'
import { refusalLine } from './output.ts'

/** What became of one of the things that were named. */
export interface Outcome {
  readonly id: string
  readonly result: string
}

/** Why something was not done. */
export interface Refusal {
  readonly name: ErrorName
  readonly sentence: string
  readonly mend: string
}

/**
 * An object per id with `--json`, else how often there was which result. Each that was refused is a line on stderr, and
 * the command ends with 1.
 */
export async function printOutcomes<O extends Outcome>(
  invocation: Invocation,
  outcomes: readonly O[],
  { refusal, empty }: { refusal: (outcome: O) => Refusal | undefined; empty: string },
): Promise<void> {
  const { output, surroundings } = invocation
  const counts = new Map<string, number>()
  for (const { result } of outcomes) counts.set(result, (counts.get(result) ?? 0) + 1)
  const summary = [...counts].map(([result, count]) => `${result} ${count}`).join(', ')
  if (output.json) await output.rows(outcomes, { head: [], cells: () => [], empty })
  else await output.text(summary === '' ? empty : summary)
  for (const outcome of outcomes) {
    const refused = refusal(outcome)
    if (refused === undefined) continue
    const { name, sentence, mend } = refused
    invocation.fail()
    await surroundings.stderr.write(`${refusalLine(name, sentence, mend)}\n`)
  }
}

/** Says on stderr that a list has not all there is. */
export function tellCut(invocation: Invocation, shown: number): void {
  invocation.log('warn').warn('list_is_cut', { shown, more: 'raise --limit' })
}

/** A time as all that are printed. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString()
}
