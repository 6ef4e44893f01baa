import type { Clock } from '@popmq/kit'
import { formatSize } from './size.ts'
import type { TextSink } from './text-sink.ts'

const redrawMs = 100
const barWidth = 24

/** One line on a terminal that shows how far long work has come; elsewhere nothing. */
export class Progress {
  readonly #sink: Pick<TextSink, 'isTerminal' | 'write'>
  readonly #clock: Clock
  readonly #startedMs: number
  #drawnMs = Number.NEGATIVE_INFINITY
  #shown = false

  constructor(sink: Pick<TextSink, 'isTerminal' | 'write'>, clock: Clock) {
    this.#sink = sink
    this.#clock = clock
    this.#startedMs = clock.monotonic()
  }

  /** `totalBytes` undefined: the end is not known. Draws at most ten times a second. */
  async show(done: {
    count: number
    bytes: number
    totalBytes: number | undefined
  }): Promise<void> {
    const now = this.#clock.monotonic()
    if (!this.#sink.isTerminal || now - this.#drawnMs < redrawMs) return
    this.#drawnMs = now
    this.#shown = true
    const seconds = Math.max(0.001, (now - this.#startedMs) / 1_000)
    const rate = `${done.count} messages, ${Math.round(done.count / seconds)}/s`
    await this.#sink.write(`\r${bar(done.bytes, done.totalBytes)} ${rate}\x1b[K`)
  }

  /** Takes the line away. */
  async clear(): Promise<void> {
    if (this.#shown) await this.#sink.write('\r\x1b[K')
    this.#shown = false
  }
}

function bar(bytes: number, totalBytes: number | undefined): string {
  if (totalBytes === undefined || totalBytes === 0) return formatSize(bytes)
  const share = Math.min(1, bytes / totalBytes)
  const filled = Math.round(share * barWidth)
  return `[${'#'.repeat(filled)}${'.'.repeat(barWidth - filled)}] ${Math.floor(share * 100)} %`
}
