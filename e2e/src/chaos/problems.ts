/** What each check promises; its title in the verdict. */
export const promises = {
  lost: 'nothing acknowledged or read is lost above the purged offsets',
  unseen: 'every acknowledged message was read, the purged ones before their purge',
  alien: 'what is read is what was sent',
  refused: 'what was refused for certain is never read',
  duplicate: 'every message stands at one place',
  disorder: 'a producer keeps its order in each partition, a key its partition',
  reuse: 'an offset of a partition held one message over all readings',
  receipt: 'every receipt names the place where its message stands',
  gap: 'offsets follow one another in each reading',
  purge: 'the low offsets are those that were asked for, after all restarts too',
  reader: 'no reader was told an error, and each came to the end',
  sender: 'every send was acknowledged in the end',
  process: 'no process ended by itself or wrote of an unhandled error',
  memory: 'no broker and no coordinator holds more than 1 GiB at the end',
} as const

export type ProblemKind = keyof typeof promises

const mostSentences = 5

/** What is wrong by kind: all are counted, the first few are told. */
export class Problems {
  readonly #found = new Map<ProblemKind, { count: number; readonly sentences: string[] }>()

  tell(kind: ProblemKind, sentence: string): void {
    const found = this.#found.get(kind) ?? { count: 0, sentences: [] }
    this.#found.set(kind, found)
    found.count += 1
    if (found.sentences.length < mostSentences) found.sentences.push(sentence)
  }

  of(kind: ProblemKind): { readonly count: number; readonly sentences: readonly string[] } {
    return this.#found.get(kind) ?? { count: 0, sentences: [] }
  }
}
