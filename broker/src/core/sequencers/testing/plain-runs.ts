import type { PartitionKey, TopicId } from '@popmq/protocol'
import { topicOfKey } from '@popmq/protocol'
import type { PlacedRun, Run, RunVerdict } from '../run.ts'

interface PlainRun {
  readonly run: Run
  readonly placed: PlacedRun
  /** Whether the crc and the list of dropped records are known. */
  readonly isExact: boolean
  readonly isListed: boolean
}

interface PlainPair {
  readonly producer: number
  readonly key: PartitionKey
  readonly runs: readonly PlainRun[]
}

/**
 * What ProducerRuns must answer, in the plainest words: per (producer, partition) the list of all runs, the pair that
 * was appended to last at the end. Slow, never forgets a run of a pair, and knows nothing of bytes.
 */
export class PlainRuns {
  readonly #most: number
  #pairs: readonly PlainPair[] = []
  #nowMs = 0

  constructor(most: number) {
    this.#most = most
  }

  judge(run: Run): RunVerdict {
    const runs = this.#pair(run)?.runs ?? []
    const last = runs.at(-1)
    const hourAgo = this.#nowMs - 3_600_000
    const fresh = run.base === 0 ? ({ kind: 'append' } as const) : ({ kind: 'unknown' } as const)
    if (run.producerId === 0) return { kind: 'append' }
    if (last === undefined || last.placed.appendedAt <= hourAgo) return fresh
    const currentEpoch = last.run.producerEpoch
    if (run.producerEpoch < currentEpoch) return { kind: 'fenced', currentEpoch }
    if (run.producerEpoch > currentEpoch) return fresh
    const expectedBase = last.run.base + last.run.count
    if (run.base > expectedBase) return { kind: 'gap', expectedBase }
    if (run.base === expectedBase) return { kind: 'append' }
    const window = runs.slice(-5).filter(({ placed }) => placed.appendedAt > hourAgo)
    if (run.base < (window[0]?.run.base ?? 0)) return { kind: 'tooOld' }
    const same = window.find((known) => known.run.base === run.base)
    if (same === undefined || same.run.count !== run.count) return { kind: 'reused' }
    if (same.isExact && same.run.crc !== run.crc) return { kind: 'reused' }
    const { deduplicated, ...placed } = same.placed
    const appended = run.count - (deduplicated?.length ?? 0)
    const isListed = same.isListed && deduplicated !== undefined && deduplicated.length > 0
    return { kind: 'duplicate', ...placed, appended, ...(isListed ? { deduplicated } : {}) }
  }

  /** `fromLog`: the run was found in the log, where what was dropped from it is not to be seen. */
  record(run: Run, placed: PlacedRun, fromLog = false): void {
    if (run.producerId === 0) return
    const known = this.#pair(run)
    const last = known?.runs.at(-1)?.run
    const follows = last?.producerEpoch === run.producerEpoch && last.base + last.count === run.base
    const isWhole = (placed.deduplicated?.length ?? 0) === 0
    const entry = { run, placed, isExact: isWhole || !fromLog, isListed: !fromLog }
    const runs = [...(follows ? (known?.runs ?? []) : []), entry]
    const others = this.#pairs.filter((pair) => pair !== known)
    this.#pairs = [...others, { producer: run.producerId, key: run.key, runs }].slice(-this.#most)
  }

  expire(nowMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs)
    const isLive = ({ runs }: PlainPair): boolean =>
      runs.some(({ placed }) => placed.appendedAt + 3_600_000 > this.#nowMs)
    this.#pairs = this.#pairs.filter(isLive)
  }

  forgetTopic(topicId: TopicId): void {
    this.#pairs = this.#pairs.filter(({ key }) => topicOfKey(key) !== topicId)
  }

  /** What a snapshot keeps: all but the lists of dropped records. */
  copy(): PlainRuns {
    const copy = new PlainRuns(this.#most)
    copy.#nowMs = this.#nowMs
    copy.#pairs = this.#pairs.map((pair) => ({
      ...pair,
      runs: pair.runs.map((entry) => ({ ...entry, isListed: false })),
    }))
    return copy
  }

  #pair(run: Run): PlainPair | undefined {
    return this.#pairs.find(({ producer, key }) => producer === run.producerId && key === run.key)
  }
}
