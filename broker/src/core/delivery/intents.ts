import type { LogPosition } from '@popmq/protocol'

interface Intent {
  readonly end: LogPosition
  readonly drop: () => void
}

/**
 * What the leader intends and the views do not know yet, by the end of the record that says so. An intent only withholds:
 * what it names is not handed out, settled or moved a second time. It is dropped when its record is applied.
 */
export class Intents {
  #waiting: Intent[] = []
  #first = 0
  #applied = -1

  /** How many are not dropped. */
  get size(): number {
    return this.#waiting.length - this.#first
  }

  /** Calls `drop` when everything below `end` is applied. Ends come in the order of the log. */
  until(end: LogPosition, drop: () => void): void {
    if (end <= this.#applied) drop()
    else this.#waiting.push({ end, drop })
  }

  /** The views have applied everything below. */
  applied(position: LogPosition): void {
    this.#applied = position
    for (;;) {
      const intent = this.#waiting[this.#first]
      if (intent === undefined || intent.end > position) break
      this.#first += 1
      intent.drop()
    }
    if (this.#first < 1_024 && this.#first < this.#waiting.length) return
    this.#waiting = this.#waiting.slice(this.#first)
    this.#first = 0
  }
}
