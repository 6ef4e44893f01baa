import type { Writable } from 'node:stream'

/** Where text goes: stdout or stderr. */
export interface TextSink {
  readonly isTerminal: boolean
  /** Resolves when there is room for more: await it, or text piles up in memory. */
  write(text: string): Promise<void>
  /** Resolves when everything written was taken by the system. @returns false when some of it was not */
  flush(): Promise<boolean>
}

/** The stream or terminal of a process, as far as a sink needs it. */
export type OutputStream = Writable & { readonly isTTY?: boolean }

/**
 * Writes to a stream that may end before we do (`popmq consume … | head`): then text is dropped, and `onBroken` is
 * called once, with the error when it was another than EPIPE.
 */
export function streamSink(
  stream: OutputStream,
  onBroken: (error: NodeJS.ErrnoException | undefined) => void,
): TextSink {
  let broken = false
  const waiting: (() => void)[] = []
  const flushing = new Set<(isTaken: boolean) => void>()
  const wake = (): void => {
    for (const resume of waiting.splice(0)) resume()
  }
  stream.on('drain', wake)
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (!broken) onBroken(error.code === 'EPIPE' ? undefined : error)
    broken = true
    wake()
    // A write under way may never be told of.
    for (const settle of flushing) settle(false)
    flushing.clear()
  })
  return {
    isTerminal: stream.isTTY === true,
    write(text) {
      if (broken || text === '' || stream.write(text)) return Promise.resolve()
      return new Promise((resolve) => waiting.push(resolve))
    },
    flush() {
      if (broken) return Promise.resolve(false)
      return new Promise((resolve) => {
        flushing.add(resolve)
        // Told in the order of the writes.
        stream.write('', (error) => {
          flushing.delete(resolve)
          resolve(!broken && !error)
        })
      })
    },
  }
}
