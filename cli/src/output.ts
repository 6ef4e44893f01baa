import { asMqError, type ErrorName } from '@popmq/protocol'
import { formatTable } from './table.ts'
import type { TextSink } from './text-sink.ts'

/** What a command prints: JSON objects, one a line, with `--json`; else text for people. */
export class Output {
  readonly json: boolean
  readonly #sink: TextSink

  constructor(sink: TextSink, { json }: { json: boolean }) {
    this.#sink = sink
    this.json = json
  }

  /** A line of text; nothing with `--json`. */
  async text(line: string): Promise<void> {
    if (!this.json) await this.#sink.write(`${line}\n`)
  }

  /** An object with `--json`, else the line that `toText` makes. */
  async object(value: object, toText: () => string): Promise<void> {
    await this.#sink.write(`${this.json ? JSON.stringify(value) : toText()}\n`)
  }

  /** Lines as they are, each with its end: for what is made in bulk. */
  async raw(lines: string): Promise<void> {
    await this.#sink.write(lines)
  }

  /** Resolves when all that was printed is with its reader's side. @returns false when the reader went away */
  flush(): Promise<boolean> {
    return this.#sink.flush()
  }

  /** One object per row with `--json`, else a table under `head`, or the sentence `empty`. */
  async rows<T extends object>(
    rows: readonly T[],
    {
      head,
      cells,
      empty,
    }: { head: readonly string[]; cells: (row: T) => readonly string[]; empty: string },
  ): Promise<void> {
    if (this.json) {
      for (const row of rows) await this.#sink.write(`${JSON.stringify(row)}\n`)
    } else if (rows.length === 0) {
      await this.text(empty)
    } else {
      await this.#sink.write(formatTable(head, rows.map(cells)))
    }
  }
}

/** `error topic_not_found: sentence (how to mend it)`, without control characters. */
export function errorLine(error: unknown): string {
  const { name, message } = asMqError(error)
  return `error ${name}: ${oneLine(message)}`
}

/** Wrong usage or a refused option, with its own way to mend it. */
export function usageLine(sentence: string, mend: string): string {
  return refusalLine('invalid_request', sentence, mend)
}

/** As `errorLine`, with its own way to mend it. */
export function refusalLine(name: ErrorName, sentence: string, mend: string): string {
  return `error ${name}: ${oneLine(`${sentence} (${mend})`)}`
}

/** Names and messages come from elsewhere: nothing of them may move the cursor or colour a terminal. */
export function oneLine(text: string): string {
  return text.replaceAll(/\p{Cc}+/gu, ' ').trim()
}
