import type { ConsumeQueue, PageSource } from './consume-queue.ts'
import type { IndexFiles } from './index-files.ts'
import type { PageCache } from './page-cache.ts'
import type { Page } from './page.ts'

/** A question to a queue, which answers undefined while a page is missing. */
export interface Question<T> {
  readonly ask: (queue: ConsumeQueue, source: PageSource) => T | undefined
  /** The answer when there is no queue. */
  readonly ifNone: () => T
}

/** Gets pages that are not in memory, through the cache. */
export class PageReader {
  readonly #cache: PageCache
  readonly #files: Pick<IndexFiles, 'read'>

  constructor(cache: PageCache, files: Pick<IndexFiles, 'read'>) {
    this.#cache = cache
    this.#files = files
  }

  /** @throws MqError `damaged_log` naming the index file */
  load(location: number, wanted: Pick<Page, 'key' | 'number'>): Promise<Page> {
    return this.#cache.load(location, () => this.#files.read(location, wanted))
  }

  /**
   * Asks until no page is missing; the missing ones are loaded in between, and kept until there is an answer.
   * @param find the queue as it is now: it may go while pages are loaded
   */
  async answer<T>(find: () => ConsumeQueue | undefined, { ask, ifNone }: Question<T>): Promise<T> {
    const loaded = new Map<number, Page>()
    for (;;) {
      const queue = find()
      if (queue === undefined) return ifNone()
      const { key, pages } = queue
      const missing: number[] = []
      const answer = ask(queue, (number) => {
        const page = pages.inMemory(number) ?? loaded.get(pages.location(number))
        if (page === undefined) missing.push(number)
        return page
      })
      if (answer !== undefined) return answer
      const loads = missing.map(async (number) => {
        const location = pages.location(number)
        loaded.set(location, await this.load(location, { key, number }))
      })
      await Promise.all(loads)
    }
  }
}
