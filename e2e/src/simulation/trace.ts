/** What an event is about: plain values, in the order given. */
export type TraceFacts = readonly (string | number | boolean | undefined)[]

/** Folds every event of a run into one hash: two runs of a seed are the same if their hashes are. */
export class Trace {
  readonly #monotonic: () => number
  readonly #print: ((line: string) => void) | undefined
  #low = 0x811c9dc5
  #high = 0x9e3779b9
  #events = 0

  /** `print` gets each event as a line. */
  constructor(monotonic: () => number, print?: (line: string) => void) {
    this.#monotonic = monotonic
    this.#print = print
  }

  get events(): number {
    return this.#events
  }

  /** 64 bits as hex. */
  get hash(): string {
    return [this.#high, this.#low].map((word) => word.toString(16).padStart(8, '0')).join('')
  }

  event(node: string, kind: string, ...facts: TraceFacts): void {
    const line = `${this.#monotonic().toFixed(3)} ${node} ${kind} ${facts.join(' ')}`
    this.#events += 1
    for (let at = 0; at < line.length; at += 1) {
      const code = line.charCodeAt(at)
      this.#low = Math.imul(this.#low ^ code, 0x01000193) >>> 0
      this.#high = (Math.imul(this.#high, 0x85ebca6b) + code + (this.#high >>> 13)) >>> 0
    }
    this.#print?.(line)
  }
}
