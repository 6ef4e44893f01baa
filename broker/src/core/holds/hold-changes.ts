import type { LogPosition } from '@popmq/protocol'
import type { Appender } from '../appender.ts'
import type { Delays } from './delays.ts'
import { encodeHoldChanges, type HoldChange } from './hold-change.ts'

/** What became of a wish to change a held record: see `Firing.cancel`. */
export type HoldOutcome = 'done' | 'delivered' | 'unknown'

export interface HoldChangesParts {
  readonly delays: Pick<Delays, 'get' | 'wasDelivered'>
  readonly appender: Pick<Appender, 'appendControl'>
  /** Where the copy ends that makes this message visible, when it is appended and not applied. */
  readonly inFlight: (number: number) => LogPosition | undefined
  readonly whenSynced: (end: LogPosition) => Promise<void>
  readonly whenApplied: (end: LogPosition) => Promise<void>
  /** A change was applied: what it withheld may be fired. */
  readonly onApplied: () => void
}

/**
 * Changes of delayed messages that are on their way: appended, and not applied yet. Of one message there is one at a
 * time; the next waits for it and is judged by what it left.
 */
export class HoldChanges {
  readonly #parts: HoldChangesParts
  /** By number: resolves when the change is applied. */
  readonly #changing = new Map<number, Promise<void>>()

  constructor(parts: HoldChangesParts) {
    this.#parts = parts
  }

  has(number: number): boolean {
    return this.#changing.has(number)
  }

  async make(change: HoldChange): Promise<HoldOutcome> {
    const { delays, whenSynced, whenApplied, inFlight } = this.#parts
    const { number } = change
    for (;;) {
      const before = this.#changing.get(number)
      if (before === undefined) break
      await before
    }
    const copyEnd = inFlight(number)
    if (copyEnd !== undefined) {
      // Only what is durable is told: a copy that a crash takes back leaves the message pending.
      await whenSynced(copyEnd)
      await whenApplied(copyEnd)
      return 'delivered'
    }
    if (delays.get(number) === undefined)
      return delays.wasDelivered(number) ? 'delivered' : 'unknown'
    const { end, applied } = this.#append(change)
    await whenSynced(end)
    await applied
    return 'done'
  }

  #append(change: HoldChange): { readonly end: LogPosition; readonly applied: Promise<void> } {
    const { appender, whenApplied, onApplied } = this.#parts
    const { number } = change
    const body = encodeHoldChanges([change])
    const end = appender.appendControl({ kind: 'hold_changed', body })
    const applied = whenApplied(end).then(() => {
      this.#changing.delete(number)
      onApplied()
    })
    this.#changing.set(number, applied)
    return { end, applied }
  }
}
