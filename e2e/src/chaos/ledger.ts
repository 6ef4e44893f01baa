import { assert, present } from '@popmq/kit'
import type { Problems } from './problems.ts'
import { keyOf, type MessageName } from './sent-message.ts'

export interface Place {
  readonly partition: number
  readonly offset: number
}

export interface Bounds {
  readonly partition: number
  readonly low: number
  readonly high: number
}

/** acked: has a receipt; unknown: may have been stored; refused: was surely not stored. */
type State = 'pending' | 'acked' | 'unknown' | 'refused'

/** What is known of the messages of one producer, by their number. A place is one number, to keep hours of load small. */
interface Page {
  readonly states: State[]
  /** −1 while there is no receipt. */
  readonly receipts: number[]
  /** Where it was read first; −1 while nobody did. */
  readonly seen: number[]
  readonly isInLast: boolean[]
}

const nowhere = -1
const offsetsPerPartition = 2 ** 40

/**
 * What was sent, what was acknowledged and what readers saw. It is compared as it comes, so that hours of load fit;
 * `finish` compares the rest, once the last reader has read everything.
 */
export class Ledger {
  readonly #problems: Problems
  readonly #pages: readonly Page[]
  /** partition → offset → the message that a reader saw there first, as one number. */
  readonly #holders: readonly (number | undefined)[][]
  readonly #purged: number[]
  readonly #keys = new Map<string, number>()

  constructor({
    producers,
    partitions,
    problems,
  }: {
    producers: number
    partitions: number
    problems: Problems
  }) {
    this.#problems = problems
    this.#pages = Array.from({ length: producers }, () => {
      return { states: [], receipts: [], seen: [], isInLast: [] }
    })
    this.#holders = Array.from({ length: partitions }, () => [])
    this.#purged = Array.from({ length: partitions }, () => 0)
  }

  /** Gives out the name of the next message of a producer, before it is sent. */
  sending(producer: number): MessageName {
    const page = this.#page(producer)
    const number = page.states.length
    page.states.push('pending')
    page.receipts.push(nowhere)
    page.seen.push(nowhere)
    page.isInLast.push(false)
    return { producer, number }
  }

  acked(name: MessageName, at: Place): void {
    const page = this.#page(name.producer)
    page.states[name.number] = 'acked'
    page.receipts[name.number] = toCode(at)
    this.#compareReceipt(name)
  }

  failed(name: MessageName, state: 'unknown' | 'refused'): void {
    this.#page(name.producer).states[name.number] = state
  }

  /** A purge was asked for: offsets below `before` may be gone, those from it on may not. */
  purging(partition: number, before: number): void {
    this.#purged[partition] = Math.max(before, present(this.#purged[partition], 'a partition'))
  }

  /** A reader saw a message. */
  saw(reader: string, name: MessageName, at: Place): void {
    const page = this.#pages[name.producer]
    if (page === undefined || name.number >= page.states.length) {
      this.alien(reader, at, `${text(name)}, which was never sent`)
      return
    }
    const code = toCode(at)
    const first = page.seen[name.number]
    if (first === nowhere) page.seen[name.number] = code
    else if (first !== code)
      this.#tell('duplicate', `${text(name)} stands at ${placeText(first)} and at ${showPlace(at)}`)
    this.#hold(reader, name, at)
    this.#compareReceipt(name)
    this.#compareKey(name, at)
  }

  /** A reader saw what is no message of the load. */
  alien(reader: string, at: Place, what: string): void {
    this.#tell('alien', `${reader} saw at ${showPlace(at)} ${what}`)
  }

  /** The last reader, which reads everything once all is quiet, saw a message. */
  sawLast(name: MessageName, at: Place): void {
    this.saw('the last reader', name, at)
    const page = this.#pages[name.producer]
    if (page !== undefined && name.number < page.states.length) page.isInLast[name.number] = true
  }

  /** Compares what was acknowledged and what was read with what the last reader found between `bounds`. */
  finish(bounds: readonly Bounds[]): void {
    const lows = new Map(bounds.map(({ partition, low }) => [partition, low]))
    for (const [partition, asked] of this.#purged.entries()) {
      const low = lows.get(partition)
      if (low !== asked)
        this.#tell('purge', `partition ${partition} begins at ${low}, purges reached ${asked}`)
    }
    const isKept = (code: number): boolean => {
      const { partition, offset } = toPlace(code)
      return code !== nowhere && offset >= (lows.get(partition) ?? 0)
    }
    for (const [producer, page] of this.#pages.entries()) {
      for (let number = 0; number < page.states.length; number += 1) {
        this.#settle({ producer, number }, page, isKept)
      }
    }
  }

  /** How many messages were sent, and how many have a receipt. */
  counts(): { readonly sent: number; readonly acked: number } {
    let sent = 0
    let acked = 0
    for (const { states } of this.#pages) {
      sent += states.length
      for (const state of states) if (state === 'acked') acked += 1
    }
    return { sent, acked }
  }

  #settle(name: MessageName, page: Page, isKept: (code: number) => boolean): void {
    const { number } = name
    const state = page.states[number]
    const receipt = page.receipts[number] ?? nowhere
    const seen = page.seen[number] ?? nowhere
    if (state !== 'acked') this.#tell('sender', `${text(name)} ended ${state}`)
    if (state === 'refused' && seen !== nowhere)
      this.#tell('refused', `${text(name)} was refused and stands at ${placeText(seen)}`)
    if (state === 'acked' && seen === nowhere)
      this.#tell('unseen', `${text(name)} was acknowledged at ${placeText(receipt)}, nobody saw it`)
    if (page.isInLast[number] === true) return
    if (isKept(receipt))
      this.#tell('lost', `${text(name)} was acknowledged at ${placeText(receipt)} and is gone`)
    else if (isKept(seen))
      this.#tell('lost', `${text(name)} was read at ${placeText(seen)} and is gone`)
  }

  #hold(reader: string, name: MessageName, at: Place): void {
    const holders = this.#holders[at.partition]
    if (holders === undefined) return this.alien(reader, at, 'a partition that is not there')
    const holder = holders[at.offset]
    const code = toCode({ partition: name.producer, offset: name.number })
    if (holder === undefined) holders[at.offset] = code
    else if (holder !== code) {
      const { partition: producer, offset: number } = toPlace(holder)
      const what = `${text({ producer, number })} and ${text(name)}`
      this.#tell('reuse', `${showPlace(at)} held ${what}`)
    }
  }

  #compareReceipt(name: MessageName): void {
    const page = this.#page(name.producer)
    const receipt = page.receipts[name.number] ?? nowhere
    const seen = page.seen[name.number] ?? nowhere
    if (receipt === nowhere || seen === nowhere || receipt === seen) return
    const where = `says ${placeText(receipt)}, it stands at ${placeText(seen)}`
    this.#tell('receipt', `the receipt of ${text(name)} ${where}`)
  }

  #compareKey(name: MessageName, { partition }: Place): void {
    const key = keyOf(name)
    const before = this.#keys.get(key)
    if (before === undefined) this.#keys.set(key, partition)
    else if (before !== partition)
      this.#tell('disorder', `key ${key} is in partitions ${before} and ${partition}`)
  }

  #page(producer: number): Page {
    return present(this.#pages[producer], 'the ledger knows every producer')
  }

  #tell(...problem: Parameters<Problems['tell']>): void {
    this.#problems.tell(...problem)
  }
}

function toCode({ partition, offset }: Place): number {
  assert(offset >= 0 && offset < offsetsPerPartition, 'an offset of the load fits in 40 bits')
  return partition * offsetsPerPartition + offset
}

function toPlace(code: number): Place {
  const partition = Math.floor(code / offsetsPerPartition)
  return { partition, offset: code - partition * offsetsPerPartition }
}

function placeText(code: number | undefined): string {
  return showPlace(toPlace(code ?? nowhere))
}

function showPlace({ partition, offset }: Place): string {
  return `${partition}@${offset}`
}

function text({ producer, number }: MessageName): string {
  return `p${producer}-${number}`
}
