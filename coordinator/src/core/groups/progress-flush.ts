import { type Clock, type Deferred, deferred } from '@popmq/kit'
import { MqError } from '@popmq/protocol'
import type { Leadership } from '../leadership.ts'
import type { RegistryOp, RegistrySession } from '../registry-port.ts'
import type { Progress, ProgressSnapshot } from './progress.ts'

export interface FlushCounts {
  /** Registry commits that carried progress. */
  readonly commits: number
  /** Nodes written by them. */
  readonly nodes: number
  /** Rounds, and how long they took together, in ms. */
  readonly rounds: number
  readonly busyMs: number
}

export const noFlushes: FlushCounts = { commits: 0, nodes: 0, rounds: 0, busyMs: 0 }

export interface FlushParts {
  readonly leadership: Pick<Leadership, 'guarded' | 'depose'>
  readonly session: Pick<RegistrySession, 'read'>
  readonly clock: Pick<Clock, 'monotonic'>
}

/** Nodes of one registry commit, and commits under way at once. */
const mostNodes = 20
const mostBytes = 240 * 1_024
const mostAtOnce = 16

/**
 * Writes progress. While a round of writes is under way, what is accepted waits for the next one and shares it, so the
 * number of writes is bounded by nodes and rounds, not by commits. Idle → writing at once → idle when nothing is dirty.
 * A node is in one write at a time.
 */
export class ProgressFlush {
  readonly #leadership: Pick<Leadership, 'guarded' | 'depose'>
  readonly #session: Pick<RegistrySession, 'read'>
  #dirty = new Set<Progress>()
  #isWriting = false
  readonly #clock: Pick<Clock, 'monotonic'>
  #counts = noFlushes

  constructor({ leadership, session, clock }: FlushParts) {
    this.#leadership = leadership
    this.#session = session
    this.#clock = clock
  }

  get counts(): FlushCounts {
    return this.#counts
  }

  /** Resolves when all that these have accepted is durable. @throws MqError as `Leadership.guarded` */
  async write(nodes: Iterable<Progress>): Promise<void> {
    const waits = Array.from(nodes, (node) => {
      this.#dirty.add(node)
      return node.durable()
    })
    this.#start()
    await Promise.all(waits)
  }

  /** Runs `change`, which writes the node in its own way, while no other write of it is under way. */
  async exclusively<T>(node: Progress, change: () => Promise<T>): Promise<T> {
    while (node.busy !== undefined) await node.busy
    const changed = change()
    node.busy = changed.then(
      () => undefined,
      () => undefined,
    )
    try {
      return await changed
    } finally {
      node.busy = undefined
      this.#start()
    }
  }

  #start(): void {
    if (this.#isWriting) return
    this.#isWriting = true
    void this.#rounds()
  }

  async #rounds(): Promise<void> {
    for (;;) {
      const ready = [...this.#dirty].filter(({ busy }) => busy === undefined)
      if (ready.length === 0) {
        this.#isWriting = false
        return
      }
      for (const node of ready) this.#dirty.delete(node)
      const startedMs = this.#clock.monotonic()
      const batches = batchesOf(ready.filter(({ isGone }) => !isGone))
      const lanes = Array.from({ length: Math.min(mostAtOnce, batches.length) }, async () => {
        for (let batch = batches.pop(); batch !== undefined; batch = batches.pop())
          await this.#write(batch)
      })
      await Promise.all(lanes)
      this.#count({ rounds: 1, busyMs: this.#clock.monotonic() - startedMs })
    }
  }

  #count(more: Partial<FlushCounts>): void {
    const { commits, nodes, rounds, busyMs } = this.#counts
    this.#counts = {
      commits: commits + (more.commits ?? 0),
      nodes: nodes + (more.nodes ?? 0),
      rounds: rounds + (more.rounds ?? 0),
      busyMs: busyMs + (more.busyMs ?? 0),
    }
  }

  /** Writes the nodes in one commit, and settles who waits for them. */
  async #write({ taken, done }: Batch): Promise<void> {
    const ops = taken.map(({ node, snapshot }): RegistryOp => {
      const { path, version } = node
      return { kind: 'set', path, value: snapshot.value, version }
    })
    try {
      await this.#commit(ops)
      for (const { node, snapshot } of taken) node.stored(snapshot)
      this.#count({ commits: 1, nodes: taken.length })
    } catch (error) {
      if (!(error instanceof MqError)) throw error
      for (const { node, snapshot } of taken) node.failed(snapshot, error)
    } finally {
      for (const { node } of taken) node.busy = undefined
      done.resolve()
    }
  }

  async #commit(ops: readonly RegistryOp[]): Promise<void> {
    const outcome = await this.#leadership.guarded(ops)
    if (outcome.kind === 'applied') return
    const op = ops[outcome.index]
    // A commit is all or nothing: when one node holds what was written, an earlier try went through.
    if (outcome.tried > 1 && op?.kind === 'set' && (await this.#holds(op.path, op.value))) return
    const what = `the registry changed under its leader: ${op?.kind} ${op?.path} met ${outcome.reason}`
    throw this.#leadership.depose(new MqError('internal', what))
  }

  async #holds(path: string, value: Uint8Array): Promise<boolean> {
    try {
      const node = await this.#session.read(path)
      return node !== undefined && sameBytes(node.value, value)
    } catch (cause) {
      throw this.#leadership.depose(
        new MqError('registry_unavailable', 'the registry does not say whether a write was made', {
          cause,
        }),
      )
    }
  }
}

interface Taken {
  readonly node: Progress
  readonly snapshot: ProgressSnapshot
}

/** Nodes that are written together; nobody else writes one of them until it is done. */
interface Batch {
  readonly taken: Taken[]
  readonly done: Deferred<void>
}

function batchesOf(nodes: readonly Progress[]): Batch[] {
  const batches: Batch[] = []
  let bytes = 0
  for (const node of nodes) {
    const snapshot = node.snapshot()
    const size = snapshot.value.length + node.path.length + 64
    let batch = batches.at(-1)
    if (batch === undefined || batch.taken.length === mostNodes || bytes + size > mostBytes) {
      batch = { taken: [], done: deferred() }
      batches.push(batch)
      bytes = 0
    }
    batch.taken.push({ node, snapshot })
    node.busy = batch.done.promise
    bytes += size
  }
  return batches
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index])
}
