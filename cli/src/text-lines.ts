import { MqError } from '@popmq/protocol'

export interface TextLine {
  /** From 1, empty lines counted. */
  readonly number: number
  readonly text: string
}

/** The whole lines that one chunk of the input completed. */
export interface LineBatch {
  readonly lines: readonly TextLine[]
  /** Bytes of the input read so far. */
  readonly bytesRead: number
}

const newline = 0x0a
const decoder = new TextDecoder('utf-8', { fatal: true })

/**
 * Cuts bytes into lines as they come; empty ones are left out, a last one without a newline counts. At most one chunk
 * and one line are held. A line ends before a carriage return, too.
 * @throws MqError `invalid_request` naming the line that is longer than `mostLineBytes` or not UTF-8
 */
export async function* readLines(
  chunks: AsyncIterable<Uint8Array>,
  mostLineBytes: number,
): AsyncGenerator<LineBatch> {
  const splitter = new LineSplitter(mostLineBytes)
  for await (const chunk of chunks) {
    const { lines, problem } = splitter.take(chunk)
    if (lines.length > 0) yield { lines, bytesRead: splitter.bytesRead }
    if (problem !== undefined) throw problem
  }
  const { lines, problem } = splitter.end()
  if (lines.length > 0) yield { lines, bytesRead: splitter.bytesRead }
  if (problem !== undefined) throw problem
}

interface Cut {
  readonly lines: readonly TextLine[]
  /** What is wrong with the line behind them. */
  readonly problem: MqError | undefined
}

class LineSplitter {
  bytesRead = 0
  readonly #mostLineBytes: number
  #number = 0
  /** The begun line, in pieces: joined once, however many chunks it spans. */
  #begun: Uint8Array[] = []
  #begunBytes = 0

  constructor(mostLineBytes: number) {
    this.#mostLineBytes = mostLineBytes
  }

  take(chunk: Uint8Array): Cut {
    this.bytesRead += chunk.length
    const lines: TextLine[] = []
    let start = 0
    try {
      for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
        this.#begin(chunk.subarray(start, end))
        this.#finish(lines)
        start = end + 1
      }
      this.#begin(chunk.subarray(start))
      return { lines, problem: undefined }
    } catch (error) {
      if (!(error instanceof MqError)) throw error
      return { lines, problem: error }
    }
  }

  end(): Cut {
    return this.#begunBytes > 0
      ? this.take(Uint8Array.of(newline))
      : { lines: [], problem: undefined }
  }

  #begin(piece: Uint8Array): void {
    this.#begunBytes += piece.length
    if (this.#begunBytes > this.#mostLineBytes) {
      throw new MqError(
        'invalid_request',
        `line ${this.#number + 1} is longer than ${this.#mostLineBytes} bytes`,
      )
    }
    if (piece.length > 0) this.#begun.push(piece)
  }

  #finish(lines: TextLine[]): void {
    const number = (this.#number += 1)
    const [first] = this.#begun
    const bytes =
      this.#begun.length === 1 && first !== undefined ? first : Buffer.concat(this.#begun)
    this.#begun = []
    this.#begunBytes = 0
    const text = decode(bytes, number).trim()
    if (text !== '') lines.push({ number, text })
  }
}

function decode(bytes: Uint8Array, number: number): string {
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    throw new MqError('invalid_request', `line ${number} is not UTF-8`, { cause })
  }
}
