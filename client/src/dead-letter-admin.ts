import { type Checksum, deadChange, deadGroups, type DeadLetter as Letter } from '@popmq/protocol'
import { deadList, deadShow, groupDescribe, type GroupId, MqError, offset } from '@popmq/protocol'
import { type Offset, parseFingerprint, quoted, type ReplyOf } from '@popmq/protocol'
import type { CallOptions } from './api/admin.ts'
import type { DeadLetter, DeadLetterAdmin, DeadLetterSummary } from './api/dead-letters.ts'
import type { LetterResult, LetterSelection, ShownLetter } from './api/dead-letters.ts'
import { formatHeldId, parseHeldId } from './core/held-id.ts'
import { mergeLetters, mergeSummaries } from './core/letter-merge.ts'
import { readLoneRecord } from './core/lone-record.ts'
import { checkRange } from './options.ts'
import { type ClusterMap, SetLeaders, type SetLeadersDeps } from './set-leaders.ts'
import { byKey, inParts } from './set-pages.ts'

export interface DeadLetterAdminDeps extends SetLeadersDeps {
  readonly crc32: Checksum
}

interface LetterFilter {
  readonly fingerprint?: string
  readonly limit?: number
}

interface FoundGroup {
  readonly groupId: GroupId
  readonly map: ClusterMap
  readonly signal: AbortSignal | undefined
}

const mostPerRequest = 1_000

/** Asks the leaders of all sets: each keeps the letters of what it gave up. */
export class RemoteDeadLetterAdmin implements DeadLetterAdmin {
  readonly #group: string
  readonly #deps: DeadLetterAdminDeps
  readonly #leaders: SetLeaders

  constructor(group: string, deps: DeadLetterAdminDeps) {
    this.#group = group
    this.#deps = deps
    this.#leaders = new SetLeaders(deps)
  }

  async *list(options: LetterFilter & CallOptions = {}): AsyncGenerator<DeadLetter, undefined> {
    const { fingerprint, limit = Number.MAX_SAFE_INTEGER, signal } = options
    if (fingerprint !== undefined) checkFingerprint(fingerprint)
    checkRange('limit', limit, [1, Number.MAX_SAFE_INTEGER])
    const found = await this.#find(signal)
    const filter = fingerprint === undefined ? { limit } : { fingerprint, limit }
    let left = limit
    for await (const letter of mergeLetters(
      found.map.sets.map((set) => this.#lettersOf(set, found, filter)),
    )) {
      yield letter
      left -= 1
      if (left === 0) return undefined
    }
    return undefined
  }

  async groups({ signal }: CallOptions = {}): Promise<{
    groups: DeadLetterSummary[]
    complete: boolean
  }> {
    const { groupId, map } = await this.#find(signal)
    const told = await Promise.all(
      map.sets.map((set) =>
        this.#leaders.ask(set, { isRepeatable: true, signal }, async (caller, how) => {
          return (await caller.call(deadGroups, { groupId }, how)).reply
        }),
      ),
    )
    return {
      groups: mergeSummaries(told.flatMap(({ groups }) => groups)),
      complete: told.every(({ complete }) => complete),
    }
  }

  async show(id: string, { signal }: CallOptions = {}): Promise<ShownLetter> {
    const { set, number } = parseHeldId('a dead letter', id)
    const { groupId, map } = await this.#find(signal)
    return this.#leaders.ask(set, { isRepeatable: true, signal }, async (caller, how) => {
      const asked = { groupId, letter: offset(number) }
      const { reply, bytes } = await caller.call(deadShow, asked, how)
      const letter = letterOf(set, reply.letter, map)
      const message = readLoneRecord(bytes, letter, this.#deps.crc32)
      return { ...letter, history: reply.letter.history ?? [], message }
    })
  }

  discard(letters: LetterSelection, { signal }: CallOptions = {}): Promise<LetterResult[]> {
    return this.#change(letters, 'discarded', signal)
  }

  restore(letters: LetterSelection, { signal }: CallOptions = {}): Promise<LetterResult[]> {
    return this.#change(letters, 'open', signal)
  }

  async #change(
    selection: LetterSelection,
    to: 'discarded' | 'open',
    signal: AbortSignal | undefined,
  ): Promise<LetterResult[]> {
    const ids = await this.#select(selection, to, signal)
    const named = ids.map((id) => ({ id, ...parseHeldId('a dead letter', id) }))
    const { groupId, map } = await this.#find(signal)
    const results = new Map<string, LetterResult['result']>()
    for (const [set, ofSet] of byKey(named, (each) => each.set)) {
      if (!map.sets.includes(set)) continue
      for (const part of inParts(ofSet, mostPerRequest)) {
        const letters = part.map(({ number }) => offset(number))
        const { reply } = await this.#leaders.ask(
          set,
          { isRepeatable: true, signal },
          async (caller, how) => await caller.call(deadChange, { groupId, letters, to }, how),
        )
        part.forEach(({ id }, index) => results.set(id, reply.results[index] ?? 'unknown'))
      }
    }
    return ids.map((id) => ({ id, result: results.get(id) ?? 'unknown' }))
  }

  /** Those that would change, of a fingerprint or of all; of ids all that are named. */
  async #select(
    selection: LetterSelection,
    to: 'discarded' | 'open',
    signal: AbortSignal | undefined,
  ): Promise<readonly string[]> {
    if (selection !== 'all' && !('fingerprint' in selection)) return selection
    const from = to === 'discarded' ? 'open' : 'discarded'
    const filter = selection === 'all' ? {} : { fingerprint: selection.fingerprint }
    const ids: string[] = []
    for await (const { id, state } of this.list(
      signal === undefined ? filter : { ...filter, signal },
    )) {
      if (state === from) ids.push(id)
    }
    return ids
  }

  /** Page by page. */
  async *#lettersOf(
    set: number,
    { groupId, map, signal }: FoundGroup,
    { fingerprint, limit = 0 }: LetterFilter,
  ): AsyncGenerator<DeadLetter, undefined> {
    const filter = fingerprint === undefined ? {} : { fingerprint }
    const most = Math.min(mostPerRequest, limit)
    let after: Offset | undefined
    for (;;) {
      const from = after === undefined ? {} : { after }
      const request = { groupId, limit: most, ...filter, ...from }
      const page: ReplyOf<typeof deadList> = await this.#leaders.ask(
        set,
        { isRepeatable: true, signal },
        async (caller, how) => (await caller.call(deadList, request, how)).reply,
      )
      for (const letter of page.letters) yield letterOf(set, letter, map)
      // A page that is empty and does not say where to go on would be asked for again for ever.
      const next: Offset | undefined = page.next ?? page.letters.at(-1)?.letter
      if (page.complete || next === undefined || next === after) return undefined
      after = next
    }
  }

  /** @throws MqError `group_not_found` */
  async #find(signal: AbortSignal | undefined): Promise<FoundGroup> {
    const { coordinators } = this.#deps
    const how = {
      withinMs: 30_000,
      isRepeatable: true,
      ...(signal === undefined ? {} : { signal }),
    }
    const { group } = await coordinators.call(groupDescribe, { group: this.#group }, how)
    return { groupId: group.groupId, map: await this.#leaders.map(signal), signal }
  }
}

/** @throws MqError `invalid_request` */
function checkFingerprint(fingerprint: string): void {
  if (parseFingerprint(fingerprint) !== undefined) return
  const what = `${quoted(String(fingerprint))} is not a fingerprint: 12 hexadecimal digits`
  throw new MqError('invalid_request', what)
}

function letterOf(set: number, told: Letter, { nameOf }: ClusterMap): DeadLetter {
  const { letter, topicId, history: _shownOnly, ...rest } = told
  return { id: formatHeldId({ set, number: letter }), topic: nameOf(topicId), ...rest }
}
