/** A promise settled from outside (`Promise.withResolvers` is absent in Node 20). */
export interface Deferred<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
  readonly reject: (reason: Error) => void
}

export function deferred<T = void>(): Deferred<T> {
  let settle: Pick<Deferred<T>, 'resolve' | 'reject'> | undefined
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject }
  })
  // A promise runs its executor before its constructor returns.
  return { promise, resolve: settle!.resolve, reject: settle!.reject }
}
