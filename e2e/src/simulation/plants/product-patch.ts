/** A method of a class of the product, as a plant sees it. */
export type Method = (this: unknown, ...args: unknown[]) => unknown

/** Names a method: the module's path below the package's built files, the class, the method. */
export interface MethodName {
  readonly package: '@popmq/broker' | '@popmq/client' | '@popmq/coordinator' | '@popmq/protocol'
  readonly module: string
  readonly className: string
  readonly method: string
}

/**
 * Replaces a method of the product in this process, for good. Modules that a package does not export are reached by
 * their place beside its index: the product has no switch for this.
 */
export async function patchMethod(
  name: MethodName,
  change: (original: Method) => Method,
): Promise<void> {
  const url = new URL(name.module, import.meta.resolve(name.package))
  const loaded = (await import(url.href)) as Record<
    string,
    { readonly prototype?: Record<string, Method> }
  >
  const prototype = loaded[name.className]?.prototype
  const original = prototype?.[name.method]
  if (prototype === undefined || typeof original !== 'function') {
    throw new Error(`${name.module} has no ${name.className}.${name.method} to plant a bug in`)
  }
  prototype[name.method] = change(original)
}

/** Answers each call but the first with what it would have answered to the one before. */
export function answerOneLate(original: Method): Method {
  const last = new WeakMap<object, unknown>()
  return function (...args) {
    const answer = original.apply(this, args)
    const earlier = last.get(this as object)
    last.set(this as object, answer)
    return earlier ?? answer
  }
}
