/**
 * When a group is planned. A change is planned at once when the last plan is a second ago; else it waits for others,
 * and all that came within `gatherMs` are planned together.
 */
export class PlanTime {
  #triggers: string[] = []
  #dueMs = Number.POSITIVE_INFINITY
  #lastMs = Number.NEGATIVE_INFINITY

  /** When the next plan is due, by the monotonic clock; infinite when none is. */
  get dueMs(): number {
    return this.#dueMs
  }

  get isDue(): boolean {
    return this.#dueMs !== Number.POSITIVE_INFINITY
  }

  /** Something has changed that may lead to another assignment. */
  changed(trigger: string, nowMs: number): void {
    if (this.#triggers.length < mostTriggers) this.#triggers.push(trigger)
    if (!this.isDue) this.#dueMs = nowMs - this.#lastMs >= quietMs ? nowMs : nowMs + gatherMs
  }

  /** Partitions wait for somebody who is there: the plan is due now. */
  hurry(nowMs: number): void {
    this.#dueMs = nowMs
  }

  /** The plan is being made. @returns what led to it */
  take(nowMs: number): string[] {
    const triggers = this.#triggers
    this.#triggers = []
    this.#dueMs = Number.POSITIVE_INFINITY
    this.#lastMs = nowMs
    return triggers
  }
}

const quietMs = 1_000
const gatherMs = 100
const mostTriggers = 1_000
