import { setTimeout as pause } from 'node:timers/promises'
import { type Client, type GroupDescription, isMqError } from '@popmq/client'

const everyMs = 50

/**
 * Looks at a group again and again and notes what must never be:
 *   two owners   a partition that two members hold, one of them giving it back or not
 *   epoch back   a grant with a lower epoch than was seen of its partition, or the same with another member
 *   progress back
 * While no coordinator answers it keeps asking.
 */
export class GroupWatch {
  readonly problems = new Set<string>()
  /** How many answers it had. */
  looks = 0
  /** The latest answer. */
  latest: GroupDescription | undefined
  readonly #stop = new AbortController()
  readonly #owners = new Map<string, { readonly epoch: number; readonly memberId: string }>()
  readonly #offsets = new Map<string, number>()
  readonly #ended: Promise<void>

  constructor(client: Client, group: string) {
    this.#ended = this.#run(client, group)
  }

  /** Twice is once. */
  async close(): Promise<void> {
    this.#stop.abort()
    await this.#ended
  }

  async #run(client: Client, group: string): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        this.#look(await client.admin().groups().describe(group, { signal }))
      } catch (error) {
        if (!isMqError(error)) throw error
      }
      await pause(everyMs)
    }
  }

  #look(seen: GroupDescription): void {
    this.looks += 1
    this.latest = seen
    const held = new Map<string, string>()
    for (const { memberId, partitions, revoking } of seen.memberList) {
      for (const { topic, partition, epoch } of [...partitions, ...revoking]) {
        const place = `${topic}/${partition}`
        const other = held.get(place)
        if (other !== undefined) this.#problem(`${place} is held by ${other} and ${memberId}`)
        held.set(place, memberId)
        this.#lookAtGrant(place, { epoch, memberId })
      }
    }
    for (const { topic, partition, offset } of seen.progress) {
      const place = `${topic}/${partition}`
      const before = this.#offsets.get(place) ?? 0
      if (offset < before)
        this.#problem(`the progress of ${place} went from ${before} to ${offset}`)
      this.#offsets.set(place, offset)
    }
  }

  #lookAtGrant(place: string, grant: { readonly epoch: number; readonly memberId: string }): void {
    const before = this.#owners.get(place)
    this.#owners.set(place, grant)
    if (before === undefined || grant.epoch > before.epoch) return
    if (grant.epoch === before.epoch && grant.memberId === before.memberId) return
    const told = [before, grant].map(({ memberId, epoch }) => `${memberId} with epoch ${epoch}`)
    this.#problem(`${place} went from ${told.join(' to ')}`)
  }

  #problem(sentence: string): void {
    this.problems.add(sentence)
  }
}
