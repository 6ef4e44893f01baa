import type { PartitionName } from './history.ts'

/** A grant as it was told to a member. */
export interface Granted {
  /** The process that the member runs in. */
  readonly member: string
  readonly partition: PartitionName
  readonly epoch: number
}

/**
 * What was seen of the group, in the order in which it happened; a number `asked` is the place in that order at which
 * the request was sent.
 */
export type GroupEvent =
  /** An answer of a coordinator names a grant, and where it goes on; `isNew`: the member did not have it at that time. */
  | (Granted & {
      readonly kind: 'told'
      readonly offset: number
      readonly asked: number
      readonly isNew: boolean
    })
  /** A commit was acknowledged. */
  | (Granted & { readonly kind: 'committed'; readonly offset: number; readonly asked: number })
  /** Messages reached whoever uses the member; epoch 0 when it had been told of no grant. */
  | (Granted & { readonly kind: 'handed'; readonly offsets: readonly number[] })
  /** The member gives a grant back in good order, all of it done. */
  | (Granted & { readonly kind: 'released' })
  /** An operator sets progress; whether and when it is done is not known before `done`. */
  | {
      readonly kind: 'reset'
      readonly partition: PartitionName
      readonly offset: number
      /** The place in the order at which it was answered. */
      done: number
    }

/** What became of the group. */
export interface GroupHistory {
  readonly events: readonly GroupEvent[]
  /** Where the group began to read. */
  readonly from: 'earliest' | 'latest'
  /** Progress after the last member had read all that there was. */
  readonly progress: ReadonlyMap<PartitionName, number>
}

/** An event with its place in the order of all. */
export interface Placed<E extends GroupEvent = GroupEvent> {
  readonly at: number
  readonly event: E
}

/** What happened to one partition. */
export class PartitionEvents {
  readonly partition: PartitionName
  readonly all: Placed[] = []

  constructor(partition: PartitionName) {
    this.partition = partition
  }

  of<K extends GroupEvent['kind']>(kind: K): Placed<Extract<GroupEvent, { kind: K }>>[] {
    return this.all.filter(
      (placed): placed is Placed<Extract<GroupEvent, { kind: K }>> => placed.event.kind === kind,
    )
  }

  /** Whether a reset may have set progress to `offset` or less between two places in the order. */
  mayBeReset(offset: number, [after, before]: readonly [after: number, before: number]): boolean {
    return this.of('reset').some(
      // Of two things at one place nobody knows which came first.
      ({ at, event }) => event.offset <= offset && at < before && event.done >= after,
    )
  }
}

export function byPartition(events: readonly GroupEvent[]): PartitionEvents[] {
  const found = new Map<PartitionName, PartitionEvents>()
  for (const [at, event] of events.entries()) {
    const of = found.get(event.partition) ?? new PartitionEvents(event.partition)
    found.set(event.partition, of)
    of.all.push({ at, event })
  }
  return [...found.values()]
}
