/** One page of a list, and whether nothing follows it. */
export interface ListPage<T> {
  readonly items: readonly T[]
  readonly complete: boolean
}

export interface PageRequest {
  /** What was seen last; absent for the first page. */
  readonly after?: number
  readonly limit: number
}

const pageItems = 1_000

/**
 * Reads a list page by page, up to `limit` items. `markOf` tells what to go on after: an item's number, or how many were
 * seen.
 */
export async function readPages<T>(
  limit: number,
  markOf: (item: T, seen: number) => number,
  ask: (page: PageRequest) => Promise<ListPage<T>>,
): Promise<ListPage<T>> {
  const items: T[] = []
  let last: number | undefined
  for (;;) {
    const most = Math.min(pageItems, limit - items.length)
    const page = await ask(last === undefined ? { limit: most } : { limit: most, after: last })
    items.push(...page.items)
    const newest = page.items.at(-1)
    if (page.complete || newest === undefined || items.length >= limit)
      return { items, complete: page.complete }
    last = markOf(newest, items.length)
  }
}

/** The items in parts of at most `most`. */
export function inParts<T>(items: readonly T[], most: number): T[][] {
  const parts: T[][] = []
  for (let at = 0; at < items.length; at += most) parts.push(items.slice(at, at + most))
  return parts
}

/** The items by what `keyOf` says of each. */
export function byKey<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  const found = new Map<K, T[]>()
  for (const item of items) {
    const key = keyOf(item)
    const same = found.get(key)
    if (same === undefined) found.set(key, [item])
    else same.push(item)
  }
  return found
}
