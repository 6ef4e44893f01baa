import { type Page, pageBytes } from './page.ts'

/**
 * Pages read from index files or written there, by their location; the one used longest ago goes first. A page is
 * read once however many ask for it meanwhile. What a location holds never changes: a page that changes is written
 * somewhere else.
 */
export class PageCache {
  readonly #mostPages: number
  readonly #pages = new Map<number, Page>()
  readonly #reading = new Map<number, Promise<Page>>()
  #reads = 0

  /** `maxBytes` is rounded down to whole pages, and holds one at least. */
  constructor(maxBytes: number) {
    this.#mostPages = Math.max(1, Math.floor(maxBytes / pageBytes))
  }

  get bytes(): number {
    return this.#pages.size * pageBytes
  }
  /** How many pages were read so far. */
  get reads(): number {
    return this.#reads
  }

  get(location: number): Page | undefined {
    const page = this.#pages.get(location)
    if (page !== undefined) this.put(location, page)
    return page
  }

  /** Makes the page the one used last. */
  put(location: number, page: Page): void {
    this.#pages.delete(location)
    this.#pages.set(location, page)
    for (const oldest of this.#pages.keys()) {
      if (this.#pages.size <= this.#mostPages) break
      this.#pages.delete(oldest)
    }
  }

  /** The page at `location`, by `read` unless it is here or on its way. */
  async load(location: number, read: () => Promise<Page>): Promise<Page> {
    return this.get(location) ?? this.#reading.get(location) ?? this.#start(location, read)
  }

  async #start(location: number, read: () => Promise<Page>): Promise<Page> {
    this.#reads += 1
    const reading = read()
    this.#reading.set(location, reading)
    try {
      const page = await reading
      this.put(location, page)
      return page
    } finally {
      this.#reading.delete(location)
    }
  }
}
