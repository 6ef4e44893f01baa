/** The items of `source` until it ends or `signal` is aborted: an input that says nothing holds nobody up. */
export async function* untilAborted<T>(
  source: AsyncIterable<T>,
  signal: AbortSignal,
): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]()
  for (;;) {
    const next = await orAborted(iterator.next(), signal)
    if (next === undefined || next.done === true) return
    yield next.value
  }
}

/** @returns undefined when `signal` is aborted first; then `promise` is left to itself */
function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  if (signal.aborted) return Promise.resolve(undefined)
  return new Promise((resolve, reject) => {
    const stop = (): void => resolve(undefined)
    signal.addEventListener('abort', stop, { once: true })
    void promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}
