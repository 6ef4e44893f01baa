import type { PartitionKey } from '@popmq/protocol'
import type { SampleLetter } from './letter-log.ts'

interface PlainLetter extends SampleLetter {
  readonly letter: number
  readonly fingerprint: number
  readonly diedAt: number
  readonly firstAppendedAt: number
  /** Where it is summed up. */
  readonly summary: number
  state: 'open' | 'discarded' | 'reopened'
  isGone: boolean
  isPlaceless: boolean
}

interface PlainSummary {
  readonly firstAt: number
  readonly lastAt: number
  readonly newest: number
  readonly error: string | undefined
}

/** For tests: the dead letters of one group, each kept for ever and counted anew each time. */
export class PlainLetters {
  readonly #most: number
  readonly #letters: PlainLetter[] = []
  readonly #summaries = new Map<number, PlainSummary>()

  constructor(most: number) {
    this.#most = most
  }

  copy(): PlainLetters {
    const other = new PlainLetters(this.#most)
    for (const letter of this.#letters) other.#letters.push({ ...letter })
    for (const [name, summary] of this.#summaries) other.#summaries.set(name, summary)
    return other
  }

  died(
    letter: number,
    died: Omit<PlainLetter, 'letter' | 'summary' | 'state' | 'isGone' | 'isPlaceless'>,
  ): void {
    const own = [...this.#summaries.keys()].filter((name) => name !== 0)
    const isOwn = own.includes(died.fingerprint) || own.length < this.#most
    const summary = isOwn ? died.fingerprint : 0
    const fresh = { state: 'open', isGone: false, isPlaceless: false } as const
    this.#letters.push({ ...died, letter, summary, ...fresh })
    const firstAt = this.#summaries.get(summary)?.firstAt ?? died.diedAt
    const error = died.error?.message
    this.#summaries.set(summary, { firstAt, lastAt: died.diedAt, newest: letter, error })
  }

  change(letters: readonly number[], to: 'open' | 'discarded'): void {
    for (const each of this.#there())
      if (letters.includes(each.letter) && each.state !== 'reopened') each.state = to
  }

  expireBelow(low: number): void {
    for (const each of this.#letters) if (each.letter < low) each.isGone = true
    this.#dropEmpty()
  }

  reopen(key: PartitionKey, from: number): void {
    for (const each of this.#letters)
      if (each.key === key && each.offset >= from && !each.isPlaceless) each.state = 'reopened'
    this.#dropEmpty()
  }

  topicGone(topic: number): void {
    for (const each of this.#letters)
      if (Math.floor(each.key / 1_024) === topic) each.isPlaceless = true
  }

  states(): unknown[] {
    return this.#there().map(({ letter, state }) => [letter, state])
  }

  place(key: PartitionKey): unknown {
    const all = this.#letters.filter((each) => each.key === key && !each.isPlaceless)
    const open = all.filter((each) => each.state === 'open' && !each.isGone)
    const left = all.filter(
      (each) => each.state === 'discarded' || (each.state === 'open' && each.isGone),
    )
    const [oldest] = open.toSorted(
      (a, b) => a.firstAppendedAt - b.firstAppendedAt || a.letter - b.letter,
    )
    const { firstAppendedAt, diedAt } = oldest ?? {}
    return [open.length, left.length, firstAppendedAt, diedAt]
  }

  summaries(): unknown[] {
    return [...this.#summaries].map(([name, summary]) => {
      const counted = this.#counted(name)
      const open = counted.filter(({ state }) => state === 'open').length
      return { fingerprint: name, count: counted.length, open, ...summary }
    })
  }

  #there(): PlainLetter[] {
    return this.#letters.filter(({ isGone }) => !isGone)
  }

  #counted(name: number): PlainLetter[] {
    return this.#there().filter(({ summary, state }) => summary === name && state !== 'reopened')
  }

  #dropEmpty(): void {
    for (const name of [...this.#summaries.keys()])
      if (this.#counted(name).length === 0) this.#summaries.delete(name)
  }
}
