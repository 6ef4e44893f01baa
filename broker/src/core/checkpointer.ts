import type { Clock } from '@popmq/kit'
import type { LogPosition } from '@popmq/protocol'
import type { Checkpoints } from './log/checkpoint.ts'
import type { CommitLog } from './log/commit-log.ts'
import type { Sequencer } from './sequencers/index.ts'
import type { ViewSet } from './view-set.ts'
import type { Views } from './views.ts'

export interface CheckpointerParts {
  readonly checkpoints: Checkpoints
  readonly log: CommitLog
  readonly views: Views
  readonly viewSet: ViewSet
  readonly sequencers: ReadonlyMap<string, Sequencer>
  /** What is known of the log as a whole. */
  readonly facts: () => LogFacts
  readonly clock: Clock
  readonly checkpointBytes: number
  readonly checkpointMs: number
  readonly notNeeded: LogPosition
}

/** What a checkpoint remembers of the log below it. */
export interface LogFacts {
  readonly lastAppendedAt: number
  readonly highestEpoch: number
  readonly highestTopicId: number
}

export const factsSection = 'log'

/** Most memory that consume-queue pages may hold before they are written out. */
const mostDirtyBytes = 32 * 1_048_576

/**
 * Writes checkpoints, so that a restart reads little of the log and segments can go. Sequencers are taken as they are
 * now, at the log's end; the file is written only when the log is synced and the views have applied that far.
 */
export class Checkpointer {
  readonly #parts: CheckpointerParts
  #last: LogPosition
  #lastAtMs: number
  #notNeeded: LogPosition

  constructor(parts: CheckpointerParts) {
    this.#parts = parts
    this.#last = parts.log.end
    this.#lastAtMs = parts.clock.monotonic()
    this.#notNeeded = parts.notNeeded
  }

  /** No kept checkpoint needs the log below. */
  get notNeeded(): LogPosition {
    return this.#notNeeded
  }

  /** Whether enough has been appended, or enough time gone by, for another one. */
  get isDue(): boolean {
    const { log, clock, viewSet, checkpointBytes, checkpointMs } = this.#parts
    const grown = log.end - this.#last
    return (
      grown >= checkpointBytes ||
      viewSet.queues.dirtyBytes >= mostDirtyBytes ||
      (grown > 0 && clock.monotonic() - this.#lastAtMs >= checkpointMs)
    )
  }

  /** Writes one. `isClean` marks a stop in good order: nothing may be appended any more. */
  async write(isClean = false): Promise<void> {
    const { checkpoints, log, views, viewSet, sequencers, facts, clock } = this.#parts
    const sequenced = log.end
    const sections = new Map<string, Uint8Array>()
    for (const [name, sequencer] of sequencers) sections.set(name, sequencer.encode())
    sections.set(factsSection, new TextEncoder().encode(JSON.stringify(facts())))
    await log.whenSynced(sequenced)
    await views.whenApplied(sequenced)
    await viewSet.queues.flush()
    // From here to the end of this turn: the views as they are at one position.
    const { applied: viewed } = views
    for (const [name, section] of viewSet.encode(viewed)) sections.set(name, section)
    const cleanEnd = isClean ? log.end : undefined
    this.#notNeeded = await checkpoints.write({
      sequenced,
      viewed,
      synced: log.synced,
      cleanEnd,
      sections,
    })
    this.#last = sequenced
    this.#lastAtMs = clock.monotonic()
    await viewSet.queues.removeDropped(this.#notNeeded)
  }
}
