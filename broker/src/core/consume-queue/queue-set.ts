import { present } from '@popmq/kit'
import type { PartitionKey } from '@popmq/protocol'
import type { ConsumeQueue } from './consume-queue.ts'
import type { PageMover } from './index-files.ts'
import type { TablePage } from './index-table.ts'
import type { PageReader } from './page-reader.ts'
import type { Page } from './page.ts'

/** The consume queues of a log by partition; what the index files ask about a page goes to its queue. */
export class QueueSet implements PageMover {
  readonly #queues = new Map<PartitionKey, ConsumeQueue>()
  readonly #reader: PageReader

  constructor(reader: PageReader) {
    this.#reader = reader
  }

  get(key: PartitionKey): ConsumeQueue | undefined {
    return this.#queues.get(key)
  }
  add(queue: ConsumeQueue): void {
    this.#queues.set(queue.key, queue)
  }
  delete(key: PartitionKey): void {
    this.#queues.delete(key)
  }
  keys(): Iterable<PartitionKey> {
    return this.#queues.keys()
  }
  all(): ConsumeQueue[] {
    return [...this.#queues.values()]
  }

  isUnwritten(page: Page): boolean {
    return this.get(page.key)?.pages.isUnwritten(page) === true
  }
  describe(page: Page): TablePage {
    return present(this.get(page.key), 'an unwritten page has a queue').describe(page)
  }
  written(page: Page, location: number): void {
    this.get(page.key)?.pages.written(page, location)
  }
  isAt({ key, number }: Pick<Page, 'key' | 'number'>, location: number): boolean {
    return this.get(key)?.pages.location(number) === location
  }
  load(location: number, wanted: Pick<Page, 'key' | 'number'>): Promise<Page> {
    return this.#reader.load(location, wanted)
  }
  rewrite(page: Page, location: number): void {
    if (this.isAt(page, location)) this.get(page.key)?.pages.rewrite(page)
  }
}
