import type { DeliveryHistory } from './delivery-history.ts'
import type { GroupHistory } from './group-history.ts'
import type { Violation } from './history.ts'
import type { Plant } from './plants/plant.ts'
import { describe, World } from './world.ts'

/** What came of one seed. */
export interface SeedOutcome {
  readonly seed: number
  readonly hash: string
  readonly events: number
  readonly virtualMs: number
  readonly violations: readonly Violation[]
  /** What happened, in one line. */
  readonly summary: string
}

export interface SeedOptions {
  readonly plant?: Plant | undefined
  readonly print?: ((line: string) => void) | undefined
}

/** Runs one seed. Only one runs at a time in a process: what nobody caught is this seed's. */
export async function runSeed(
  seed: number,
  { plant, print }: SeedOptions = {},
): Promise<SeedOutcome> {
  const world = new World({ seed, plant, print })
  const uncaught = (reason: unknown): void => world.defect('unhandled', describe(reason))
  process.on('unhandledRejection', uncaught)
  process.on('uncaughtException', uncaught)
  const violations = await world.run()
  process.off('unhandledRejection', uncaught)
  process.off('uncaughtException', uncaught)
  const { hash, events } = world.trace
  const virtualMs = world.scheduler.monotonic()
  return { seed, hash, events, virtualMs, violations, summary: summaryOf(world) }
}

function summaryOf({ plan, history, nemesis }: World): string {
  const counts = { ok: 0, failed: 0, unknown: 0, pending: 0, duplicate: 0 }
  const errors = new Map<string, number>()
  for (const { state, receipt, error } of history.sends) {
    counts[state] += 1
    if (receipt?.duplicate === true) counts.duplicate += 1
    if (error !== undefined) errors.set(error, (errors.get(error) ?? 0) + 1)
  }
  const sends = Object.entries(counts).map(([state, count]) => `${count} ${state}`)
  const faults = [...nemesis.counts].map(([kind, count]) => `${kind} ${count}`)
  return [
    `${plan.brokers} brokers, ${plan.coordinators} coordinators, registry ${plan.registry}`,
    history.group === undefined ? 'no group' : groupSummary(history.group),
    history.delivery === undefined ? 'no pops' : deliverySummary(history.delivery),
    `sends: ${sends.join(', ')}`,
    `errors: ${[...errors].map(([name, count]) => `${name} ${count}`).join(', ') || 'none'}`,
    `${history.polls.length} polls, ${history.removals.length} removals, ${history.crashes.length} crashes`,
    `faults: ${faults.join(', ') || 'none'}`,
  ].join('; ')
}

function groupSummary({ events }: GroupHistory): string {
  return `group: ${counted(events.map(({ kind }) => kind))}`
}

function deliverySummary(delivery: DeliveryHistory): string {
  const { handed, settles, resets, takeBacks, retryChanges, letterChanges, delayChanges } = delivery
  const answers = counted(settles.map(({ result = 'unanswered' }) => result))
  const changes = counted(delayChanges.map(({ result = 'unanswered' }) => result))
  const asked = `${resets.length} resets, ${takeBacks.length} taken back, ${retryChanges.length} retries, ${letterChanges.length} letters`
  const dead = delivery.ends.at(-1)?.letters.length ?? 0
  return `pops: ${handed.length} handed, ${answers}; ${dead} dead; ${asked} changed; delayed: ${changes}`
}

function counted(words: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1)
  return [...counts].map(([word, count]) => `${count} ${word}`).join(', ') || 'nothing'
}
