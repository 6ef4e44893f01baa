/** Where a message stands. */
export interface Place {
  readonly partition: number
  readonly offset: number
}

/** A message as a reader saw it; `id` is what the scenario gave it, unique among all that it sends. */
export interface Sighting extends Place {
  readonly id: string
  readonly key?: string | null | undefined
}

type Kind = 'lost' | 'alien' | 'duplicate' | 'disorder' | 'reuse' | 'receipt' | 'jump'

export interface Problem {
  readonly kind: Kind
  readonly sentence: string
}

/**
 * What one scenario sent to a topic, what was acknowledged, and what its readers saw; `problems` compares them.
 *   lost       acknowledged, or seen before, and a reader of everything did not see it
 *   alien      seen, and never sent
 *   duplicate  at two places
 *   disorder   messages of a key stand in two partitions, or not in the order they were sent
 *   reuse      one place held two messages
 *   receipt    a receipt names a place that holds something else, or holds nothing in a reading of everything
 *   jump       a reader's offsets of a partition do not follow one another
 * A message that was sent and not acknowledged may be there or not.
 */
export class History {
  /** id → its number in the order of sending, and its key. */
  readonly #sent = new Map<string, { readonly order: number; readonly key: string | undefined }>()
  readonly #acked = new Set<string>()
  readonly #receipts = new Map<string, Place>()
  readonly #problems: Problem[] = []
  /** place → id, over all readings. */
  readonly #held = new Map<string, string>()
  /** id → place, over all readings. */
  readonly #places = new Map<string, string>()

  /** In the order of sending. */
  sent(id: string, key?: string): void {
    if (this.#sent.has(id)) throw new Error(`the scenario sent ${id} twice: ids must be unique`)
    this.#sent.set(id, { order: this.#sent.size, key })
  }

  acked(id: string, receipt?: Place): void {
    this.#acked.add(id)
    if (receipt !== undefined) this.#receipts.set(id, receipt)
  }

  get ackedCount(): number {
    return this.#acked.size
  }

  /** All that one reader saw, in its order: everything there was, or a part. */
  reading(sightings: Iterable<Sighting>, { isWhole }: { readonly isWhole: boolean }): void {
    const ids = new Set<string>()
    const before = isWhole ? new Map(this.#places) : undefined
    const lastOffsets = new Map<number, number>()
    const keys = new Map<string, { readonly order: number; readonly partition: number }>()
    for (const sighting of sightings) {
      ids.add(sighting.id)
      this.#place(sighting)
      this.#follow(sighting, lastOffsets)
      this.#order(sighting, keys)
    }
    if (before !== undefined) this.#missing(ids, before)
  }

  /** What is wrong; at most ten of a kind. */
  problems(): Problem[] {
    const counts = new Map<Kind, number>()
    return this.#problems.filter(({ kind }) => {
      const count = (counts.get(kind) ?? 0) + 1
      counts.set(kind, count)
      return count <= 10
    })
  }

  #place({ id, partition, offset }: Sighting): void {
    const place = `${partition}@${offset}`
    const holder = this.#held.get(place)
    if (holder !== undefined && holder !== id)
      this.#tell('reuse', `${place} held ${holder} and ${id}`)
    const other = this.#places.get(id)
    if (other !== undefined && other !== place)
      this.#tell('duplicate', `${id} stands at ${other} and at ${place}`)
    if (holder === undefined && !this.#sent.has(id))
      this.#tell('alien', `${place} holds ${id}, which was never sent`)
    const receipt = this.#receipts.get(id)
    if (receipt !== undefined && (receipt.partition !== partition || receipt.offset !== offset)) {
      this.#tell(
        'receipt',
        `the receipt of ${id} says ${receipt.partition}@${receipt.offset}, it stands at ${place}`,
      )
    }
    this.#held.set(place, id)
    this.#places.set(id, place)
  }

  #follow({ partition, offset }: Sighting, lastOffsets: Map<number, number>): void {
    const last = lastOffsets.get(partition)
    if (last !== undefined && offset !== last + 1) {
      this.#tell('jump', `after ${partition}@${last} came ${partition}@${offset}`)
    }
    lastOffsets.set(partition, offset)
  }

  #order(
    { id, partition, key }: Sighting,
    keys: Map<string, { order: number; partition: number }>,
  ): void {
    const sent = this.#sent.get(id)
    if (sent === undefined) return
    if (key !== undefined && (key ?? undefined) !== sent.key) {
      this.#tell('disorder', `${id} was sent with key ${sent.key} and has ${key}`)
    }
    if (sent.key === undefined) return
    const before = keys.get(sent.key)
    if (before !== undefined && before.partition !== partition) {
      this.#tell(
        'disorder',
        `key ${sent.key} is in partitions ${before.partition} and ${partition}`,
      )
    } else if (before !== undefined && before.order > sent.order) {
      this.#tell(
        'disorder',
        `of key ${sent.key}, ${id} (sent as ${sent.order}) came after number ${before.order}`,
      )
    }
    keys.set(sent.key, { order: sent.order, partition })
  }

  #missing(ids: ReadonlySet<string>, seenBefore: ReadonlyMap<string, string>): void {
    for (const id of this.#acked) {
      if (ids.has(id)) continue
      const receipt = this.#receipts.get(id)
      this.#tell(
        'lost',
        `${id} was acknowledged${receipt === undefined ? '' : ` at ${receipt.partition}@${receipt.offset}`} and is gone`,
      )
    }
    for (const [id, place] of seenBefore) {
      if (!ids.has(id) && !this.#acked.has(id))
        this.#tell('lost', `${id} was seen at ${place} and is gone`)
    }
  }

  #tell(kind: Kind, sentence: string): void {
    this.#problems.push({ kind, sentence })
  }
}
