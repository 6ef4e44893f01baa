import { isMqError, type MqError } from '@popmq/protocol'

/** How many addresses that nobody configured are asked in one round. */
const mostHints = 3

/**
 * Which coordinator to ask next, until one answers. Begins with `first`; one that is not in the lead may name the one
 * that is (`not_coordinator`, fact `leader`), which is asked next, also if nobody configured it; else they are asked in
 * turn. No address is asked twice in a round, so a leader that is named but does not answer costs one try a round.
 */
export class LeaderSearch {
  readonly #addresses: readonly string[]
  /** Those asked in this round. */
  readonly #asked = new Set<string>()
  #hints = 0
  #next = 0
  #current: string

  constructor(addresses: readonly string[], first = addresses[0] ?? '') {
    this.#addresses = addresses
    this.#current = first
    this.#next = Math.max(0, addresses.indexOf(first))
  }

  /** host:port of the one to ask. */
  get current(): string {
    return this.#current
  }

  /** The current one answered: it is asked again, in a new round. */
  answered(): void {
    this.#newRound()
  }

  /** The current one did not answer as the leader. @returns whether a round is over: wait before the next is asked */
  passOn(error: MqError): boolean {
    this.#asked.add(this.#current)
    const hint = leaderNamedBy(error)
    if (hint !== undefined && !this.#asked.has(hint) && this.#hints < mostHints) {
      this.#hints += 1
      this.#current = hint
      return false
    }
    const next = this.#notAsked()
    if (next === undefined) this.#newRound()
    this.#current = next ?? this.#turn()
    return next === undefined
  }

  #newRound(): void {
    this.#asked.clear()
    this.#hints = 0
  }

  #notAsked(): string | undefined {
    for (let step = 0; step < this.#addresses.length; step += 1) {
      const address = this.#turn()
      if (!this.#asked.has(address)) return address
    }
    return undefined
  }

  /** The configured address whose turn it is. */
  #turn(): string {
    this.#next = (this.#next + 1) % Math.max(1, this.#addresses.length)
    return this.#addresses[this.#next] ?? ''
  }
}

/** The address in a refusal of a coordinator that does not lead; undefined when it knows of none. */
function leaderNamedBy(error: MqError): string | undefined {
  if (!isMqError(error, 'not_coordinator')) return undefined
  const { leader } = error.facts
  return typeof leader === 'string' && leader !== '' ? leader : undefined
}
