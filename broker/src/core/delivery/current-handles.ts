import type { SettleResult } from '@popmq/protocol'

/** Results by lease, by number. */
export type Results = SettleResult[][]

/**
 * The handles of one place that a request can act on, each number once. Most come ascending, as they were popped: then
 * none can stand twice, and nothing is kept to find that out.
 */
export class CurrentHandles {
  /** In the order of the request. */
  readonly numbers: number[] = []
  /** Where the result of each goes: lease, then number. */
  readonly #rows: number[] = []
  readonly #columns: number[] = []
  #highest = -1
  #known: Set<number> | undefined

  has(number: number): boolean {
    if (number > this.#highest) return false
    this.#known ??= new Set(this.numbers)
    return this.#known.has(number)
  }

  /** Adds one that it has not. */
  add(number: number, row: number, column: number): void {
    if (number < this.#highest) this.#known ??= new Set(this.numbers)
    this.numbers.push(number)
    this.#rows.push(row)
    this.#columns.push(column)
    this.#known?.add(number)
    this.#highest = Math.max(this.#highest, number)
  }

  get ascending(): readonly number[] {
    return this.#known === undefined ? this.numbers : this.numbers.toSorted((a, b) => a - b)
  }

  /** Puts the result of one, named by its index in `numbers`. */
  put(results: Results, index: number, result: SettleResult): void {
    const row = results[this.#rows[index] ?? 0]
    if (row !== undefined) row[this.#columns[index] ?? 0] = result
  }

  putAll(results: Results, result: SettleResult): void {
    for (let index = 0; index < this.numbers.length; index += 1) this.put(results, index, result)
  }
}
