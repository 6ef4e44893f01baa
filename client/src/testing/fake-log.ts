import { crc32 } from '@popmq/kit/checksum'
import { assert } from '@popmq/kit'
import {
  epoch,
  type ErrorName,
  firstHeldNumber,
  kindName,
  logPosition,
  offset,
  readSections,
  RecordView,
} from '@popmq/protocol'

/** One partition of the fake broker, by the rules of the real one, in the plainest way. */
export class FakeLog {
  low = 0
  readonly records: Uint8Array[] = []
  /** Records of delayed messages: numbered on their own. */
  readonly delayed: Uint8Array[] = []
  readonly #windows = new Map<number, { epoch: number; runs: KnownRun[] }>()
  readonly #dedupIds = new Map<string, number>()
  appendedAt = 0

  get high(): number {
    return this.low + this.records.length
  }

  /** As after a restart that lost what was known of producers. */
  forgetProducers(): void {
    this.#windows.clear()
  }

  /** Loses the newest records, as a crash does to those that were not synced. */
  loseNewest(count: number): void {
    this.records.splice(this.records.length - count)
    this.forgetProducers()
  }

  dropOldest(count: number): void {
    this.records.splice(0, count)
    this.low += count
  }

  valueAt(at: number): string {
    const bytes = this.records[at - this.low]
    assert(bytes !== undefined, 'the offset is kept')
    return new TextDecoder().decode(new RecordView(bytes).body)
  }

  values(): string[] {
    return this.records.map((_, index) => this.valueAt(this.low + index))
  }

  append(bytes: Uint8Array, now: number): AppendResult {
    const record = new RecordView(bytes)
    const { producerId, producerEpoch, runBase: base, runCount: count } = record
    const sum = crc32(bytes)
    const window = this.#windows.get(producerId)
    if (producerId !== 0) {
      const isNew = window === undefined || producerEpoch > window.epoch
      if (window !== undefined && producerEpoch < window.epoch) return { error: 'producer_fenced' }
      if (isNew && base !== 0) return { error: 'producer_unknown' }
      if (!isNew) {
        const known = window.runs.find((run) => run.base === base)
        if (known !== undefined) {
          return known.sum === sum ? known.result : { error: 'sequence_reused' }
        }
        const last = window.runs.at(-1)
        const next = (last?.base ?? 0) + (last?.count ?? 0)
        if (base > next) return { error: 'sequence_gap' }
        if (base < next) return { error: 'sequence_too_old' }
      }
    }
    const result = this.#store(bytes, now)
    if (producerId !== 0) {
      const runs = window?.epoch === producerEpoch ? window.runs.slice(-4) : []
      this.#windows.set(producerId, {
        epoch: producerEpoch,
        runs: [...runs, { base, count, sum, result }],
      })
    }
    return result
  }

  #store(bytes: Uint8Array, now: number): AppendResult {
    const isDelayed = kindName(new RecordView(bytes).kind) === 'delayed'
    const next = (): number => (isDelayed ? firstHeldNumber + this.delayed.length : this.high)
    const baseOffset = next()
    const deduplicated: { index: number; offset: number; appendedAt: number }[] = []
    const record = new RecordView()
    let index = 0
    for (let at = 0; at < bytes.length; index += 1) {
      record.move(bytes, at)
      assert(
        record.fits(bytes.length) && record.crcHolds(crc32),
        'records arrive as they were sealed',
      )
      assert((kindName(record.kind) === 'delayed') === isDelayed, 'a run is of one kind')
      const { dedupId } = readSections(record)
      const first = dedupId === undefined ? undefined : this.#dedupIds.get(dedupId)
      if (first !== undefined) deduplicated.push({ index, offset: first, appendedAt: now })
      else {
        if (dedupId !== undefined) this.#dedupIds.set(dedupId, next())
        const into = isDelayed ? this.delayed : this.records
        into.push(this.#placed(bytes.slice(at, record.end), { at: next(), now }))
      }
      at = record.end
    }
    return { baseOffset, appendedAt: now, ...(deduplicated.length === 0 ? {} : { deduplicated }) }
  }

  #placed(bytes: Uint8Array, { at, now }: { at: number; now: number }): Uint8Array {
    new RecordView(bytes).patch({
      position: logPosition(0),
      syncedPosition: logPosition(0),
      offset: offset(at),
      appendedAt: now,
      marks: 0,
      leaderEpoch: epoch(1),
    })
    return bytes
  }
}

interface KnownRun {
  readonly base: number
  readonly count: number
  readonly sum: number
  readonly result: AppendResult
}

export interface AppendResult {
  readonly error?: ErrorName
  readonly baseOffset?: number
  readonly appendedAt?: number
  readonly deduplicated?: readonly { index: number; offset: number; appendedAt: number }[]
}
