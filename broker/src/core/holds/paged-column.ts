import { present } from '@popmq/kit'

/** The arrays that a column may be made of. */
export type Numbers = Float64Array | Uint32Array | Uint16Array

const pageShift = 12
const pageRows = 1 << pageShift

/**
 * One column of a table: numbers by row, in pages, so that growing copies nothing and at most one page is empty room.
 */
export class PagedColumn {
  readonly #newPage: (rows: number) => Numbers
  readonly #pages: Numbers[] = []

  constructor(newPage: (rows: number) => Numbers) {
    this.#newPage = newPage
  }

  /** Bytes that its pages take. */
  get bytes(): number {
    return this.#pages.reduce((sum, page) => sum + page.byteLength, 0)
  }

  /** Has room for rows below `rows`, and for no more pages than that takes. */
  resize(rows: number): void {
    const pages = Math.ceil(rows / pageRows)
    if (pages === this.#pages.length) return
    while (this.#pages.length < pages) this.#pages.push(this.#newPage(pageRows))
    this.#pages.length = pages
  }

  get(row: number): number {
    const page = present(this.#pages[row >>> pageShift], 'a row lies in a page')
    return page[row & (pageRows - 1)] ?? 0
  }

  set(row: number, value: number): void {
    const page = present(this.#pages[row >>> pageShift], 'a row lies in a page')
    page[row & (pageRows - 1)] = value
  }
}
