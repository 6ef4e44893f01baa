import type { SeedOutcome } from './seed-run.ts'
import { SeedThread } from './seed-thread.ts'

export interface CampaignOptions {
  readonly from: number
  readonly seeds: number
  readonly plant: string
  readonly threads: number
  /** How many of the seeds are run twice, on different threads, to compare their traces. */
  readonly replays: number
  readonly write: (line: string) => void
}

export interface Counts {
  readonly passed: number
  readonly failed: number
}

/** Runs many seeds; each that fails is told with the command that replays it. */
export async function runCampaign(options: CampaignOptions): Promise<Counts> {
  const { from, seeds, plant, write } = options
  const threads = Array.from({ length: options.threads }, () => new SeedThread(plant))
  const hashes = new Map<number, string>()
  let failed = 0
  const fail = (seed: number, lines: readonly string[]): void => {
    failed += 1
    for (const line of lines) write(line)
    write(`seed ${seed} failed; replay it: ${replayCommand(seed, plant)}`)
  }
  await spread(seeds, threads, async (index, thread) => {
    const outcome = await thread.run(from + index)
    hashes.set(outcome.seed, outcome.hash)
    if (outcome.violations.length > 0) fail(outcome.seed, tell(outcome))
  })
  // The other way round, so that a seed meets another thread, warmed up by other seeds.
  await spread(Math.min(seeds, options.replays), threads.toReversed(), async (index, thread) => {
    const seed = from + index
    const { hash } = await thread.run(seed)
    if (hash === hashes.get(seed)) return
    fail(seed, [`seed ${seed} ran differently the second time: ${hashes.get(seed)}, then ${hash}`])
  })
  for (const thread of threads) await thread.close()
  return { passed: Math.max(0, seeds - failed), failed }
}

/** The first violations of an outcome, as lines. */
export function tell({ violations }: SeedOutcome): string[] {
  const shown = new Set(violations.map(({ checker, what }) => `  ${checker}: ${front(what)}`))
  const lines = [...shown].slice(0, mostTold)
  return violations.length > lines.length ? [...lines, `  ${violations.length} in all`] : lines
}

const mostTold = 4
const mostLines = 10

/** A stack is told by its first lines. */
function front(what: string): string {
  return what.split('\n').slice(0, mostLines).join('\n    ')
}

export function replayCommand(seed: number, plant: string): string {
  return `npm run sim -- --seed ${seed}${plant === '' ? '' : ` --plant ${plant}`}`
}

/** Does `count` tasks, one at a time on each of `workers`. */
export async function spread<W>(
  count: number,
  workers: readonly W[],
  task: (index: number, worker: W) => Promise<void>,
): Promise<void> {
  let next = 0
  await Promise.all(
    workers.map(async (worker) => {
      for (let index = next++; index < count; index = next++) await task(index, worker)
    }),
  )
}
