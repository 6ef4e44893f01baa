import { deferred } from '@popmq/kit'
import type { deadChange, LogPosition, Offset, ReplyOf } from '@popmq/protocol'
import type { ControlRecord } from '../control-record.ts'
import type { DeadLetters } from './dead-letters.ts'
import { encodeLettersChange, type LettersChange } from './letters-change.ts'

/** `done`: changed now, and durable. `already`: it was so. */
export type LetterResult = ReplyOf<typeof deadChange>['results'][number]

export interface LetterChangesParts {
  readonly letters: Pick<DeadLetters, 'find'>
  /** @returns the position behind the record */
  readonly appendControl: (record: ControlRecord) => LogPosition
  /** Resolves when everything below is synced and applied. */
  readonly whenDone: (end: LogPosition) => Promise<void>
}

/**
 * Changes the state of letters by records, one change of a letter at a time: a second one waits, and is judged by what the
 * first came to. The answer is what the view says once the record is applied, for retention or a reset may have come
 * before it.
 */
export class LetterChanges {
  readonly #parts: LetterChangesParts
  /** By letter, the change under way. */
  readonly #underWay = new Map<string, Promise<void>>()

  constructor(parts: LetterChangesParts) {
    this.#parts = parts
  }

  /** @returns what became of each letter. @throws what `appendControl` and `whenDone` throw */
  async change(asked: LettersChange): Promise<readonly LetterResult[]> {
    const { groupId, letters, to } = asked
    // Judged and begun in one go once nothing is under way: no pause lies between.
    for (let busy = this.#busyWith(asked); busy !== undefined; busy = this.#busyWith(asked))
      await busy
    const wanted = new Set<Offset>()
    const results = letters.map((letter): LetterResult => {
      const verdict = this.#judge(asked, letter)
      if (verdict === 'done' && wanted.has(letter)) return 'already'
      if (verdict === 'done') wanted.add(letter)
      return verdict
    })
    if (wanted.size === 0) return results
    await this.#append({ groupId, to, letters: [...wanted] })
    return results.map((result, index) => {
      const letter = letters[index]
      if (result !== 'done' || letter === undefined) return result
      const after = this.#judge(asked, letter)
      return after === 'already' ? 'done' : after
    })
  }

  /** A change that is under way with any of the letters. */
  #busyWith({ groupId, letters }: LettersChange): Promise<void> | undefined {
    for (const letter of letters) {
      const busy = this.#underWay.get(`${groupId} ${letter}`)
      if (busy !== undefined) return busy
    }
    return undefined
  }

  /** `done`: it can be changed. */
  #judge({ groupId, to }: LettersChange, letter: Offset): LetterResult {
    const state = this.#parts.letters.find(groupId)?.state(letter)
    if (state === undefined) return 'unknown'
    if (state === 'reopened') return 'reopened'
    return state === to ? 'already' : 'done'
  }

  async #append(change: LettersChange): Promise<void> {
    const over = deferred()
    const names = change.letters.map((letter) => `${change.groupId} ${letter}`)
    const end = this.#parts.appendControl({
      kind: 'letters_changed',
      body: encodeLettersChange(change),
    })
    for (const name of names) this.#underWay.set(name, over.promise)
    try {
      await this.#parts.whenDone(end)
    } finally {
      for (const name of names) this.#underWay.delete(name)
      over.resolve()
    }
  }
}
