/** The time for which a member has a partition, as its messages tell. */
export interface Tenure {
  readonly partition: number
  /** When its first message was received; absent: none was. */
  readonly firstMs?: number
  readonly lastMs?: number
  /** It was taken back, or given back. */
  readonly isOver: boolean
}

/** What a member has read of each partition since it was given it. */
export class Tenures {
  readonly #latest = new Map<number, Tenure>()

  begin(partition: number): void {
    this.#latest.set(partition, { partition, isOver: false })
  }

  end(partition: number): void {
    const tenure = this.#latest.get(partition)
    if (tenure !== undefined) this.#latest.set(partition, { ...tenure, isOver: true })
  }

  received(partition: number, nowMs: number): void {
    const { firstMs = nowMs, isOver = false } = this.#latest.get(partition) ?? {}
    this.#latest.set(partition, { partition, firstMs, lastMs: nowMs, isOver })
  }

  all(): readonly Tenure[] {
    return [...this.#latest.values()]
  }
}

/** A partition that went from one member to another; members by any name. */
export interface Handover {
  readonly partition: number
  readonly from: string
  readonly to: string
}

/** Who had it, and when they read. */
export type TenuresOf = ReadonlyMap<string, readonly Tenure[]>

/**
 * From the last message that the old owner received to the first one of the new owner, in ms.
 * @returns undefined while the new owner has none, or when the old one had none
 */
export function gapMs({ partition, from, to }: Handover, tenuresOf: TenuresOf): number | undefined {
  const of = (name: string): Tenure | undefined =>
    tenuresOf.get(name)?.find((tenure) => tenure.partition === partition)
  const { lastMs } = of(from) ?? {}
  const taken = of(to)
  if (lastMs === undefined || taken?.firstMs === undefined || taken.isOver) return undefined
  return Math.max(0, taken.firstMs - lastMs)
}
