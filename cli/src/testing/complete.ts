import { assert } from '@popmq/kit'

/** `part` as the whole: what it leaves out is not to be used. */
export function complete<T extends object>(name: string, part: Partial<T>): T {
  return new Proxy(part, {
    get: (target, key) => {
      // Awaiting asks for `then`.
      assert(key in target || key === 'then', `the fake ${name} was not asked for ${String(key)}`)
      return Reflect.get(target, key) as unknown
    },
  }) as T
}
