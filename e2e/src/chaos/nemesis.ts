import { setTimeout as pause } from 'node:timers/promises'
import { type Battlefield, inflict, NotHealed, type Receipt } from './fault.ts'
import type { FaultKind, FaultPlan } from './fault-plan.ts'

export interface Survived {
  readonly kind: FaultKind
  readonly receipt: Receipt
}

export interface Campaign {
  readonly survived: readonly Survived[]
  /** Why the run proves nothing: a fault whose effect or whose healing was not proved. */
  readonly voidBecause: string | undefined
}

export interface NemesisParts {
  readonly field: Battlefield
  readonly plans: Iterator<FaultPlan, never>
  /** On the clock of `performance.now`: no fault begins later. */
  readonly untilMs: number
  readonly write: (line: string) => void
}

/** Lets one fault after another happen until the time is up, or one leaves no true receipt. */
export async function torment({ field, plans, untilMs, write }: NemesisParts): Promise<Campaign> {
  const survived: Survived[] = []
  for (;;) {
    const plan = plans.next().value
    await pause(plan.afterMs)
    if (performance.now() >= untilMs) return { survived, voidBecause: undefined }
    const title = `fault ${survived.length + 1} ${titleOf(plan)}`
    tellDead(field)
    try {
      const receipt = await inflict(field, plan)
      survived.push({ kind: plan.kind, receipt })
      const { effect, heal, recoveryMs } = receipt
      write(`${title}: ${effect}; ${heal}, acknowledged after ${Math.round(recoveryMs)} ms`)
    } catch (error) {
      const what = error instanceof NotHealed ? 'did not heal' : 'had no proved effect'
      const reason = error instanceof Error ? error.message : String(error)
      tellDead(field)
      return { survived, voidBecause: `${title} ${what}: ${reason}` }
    }
  }
}

function titleOf({ kind, broker }: FaultPlan): string {
  return kind.endsWith('-broker') ? `${kind} ${broker}` : kind
}

/** Between faults every process runs. */
export function tellDead({ cluster, problems }: Battlefield): void {
  for (const role of [cluster.coordinator, ...cluster.brokers]) {
    if (!role.isRunning) problems.tell('process', `${role.address} ended by itself`)
  }
}
