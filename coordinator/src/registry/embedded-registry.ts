import { assert, type Storage, StorageError } from '@popmq/kit'
import { isMqError, MqError } from '@popmq/protocol'
import type { CommitOutcome, Registry, RegistryOp, RegistrySession } from '../core/registry-port.ts'
import { RegistryTree, touchedPaths } from '../core/registry-tree.ts'
import { JournalFiles } from './journal-files.ts'
import type { JournalEntry } from './journal.ts'
import { LocalSessions } from './local-sessions.ts'

export interface EmbeddedRegistryOptions {
  /** The data directory, already locked for this process. */
  readonly storage: Storage
  /** Called once when the disk failed: what was not answered is unknown, and the process must stop. */
  readonly onFatal: (error: MqError) => void
  /** A journal longer than this many bytes gives way to a snapshot. Default 4 MiB. */
  readonly snapshotAfterBytes?: number
}

interface Waiting {
  readonly session: number
  readonly ops: readonly RegistryOp[]
  readonly answer: (outcome: CommitOutcome) => void
  readonly fail: (error: MqError) => void
}

/**
 * The registry of one machine: a tree in memory over a journal with group sync, and snapshots. Two trees: a batch of
 * commits is tried on `staged`, written and synced, and only then carried out on `durable`, which is the one that is
 * read. States: idle → writing (a batch is on its way; what comes meanwhile is the next batch) → idle … → closed, and
 * from anywhere → failed: every waiting commit is `unknown`, every session lost, `onFatal` called.
 */
export class EmbeddedRegistry implements Registry {
  readonly #files: JournalFiles
  readonly #durable: RegistryTree
  #staged: RegistryTree
  readonly #sessions: LocalSessions
  readonly #onFatal: (error: MqError) => void
  readonly #snapshotAfterBytes: number
  readonly #ended = new Set<number>()
  #waiting: Waiting[] = []
  #writing: Promise<void> | undefined
  #nextSnapshotBytes: number
  #failure: MqError | undefined
  #closing: Promise<void> | undefined

  private constructor(
    { files, tree }: { files: JournalFiles; tree: RegistryTree },
    { onFatal, snapshotAfterBytes = 4 * 1_048_576 }: EmbeddedRegistryOptions,
  ) {
    this.#files = files
    this.#durable = tree
    this.#staged = copyOf(tree)
    this.#onFatal = onFatal
    this.#snapshotAfterBytes = snapshotAfterBytes
    this.#nextSnapshotBytes = snapshotAfterBytes
    this.#sessions = new LocalSessions({
      tree,
      commit: (ops, session) => this.#enqueue(session, ops),
      endSession: (session) => this.#endSession(session),
    })
  }

  /** @throws MqError `damaged_log`, `newer_format`, `data_directory_invalid`, `disk_full`, `disk_failed` */
  static async open(options: EmbeddedRegistryOptions): Promise<EmbeddedRegistry> {
    try {
      return new EmbeddedRegistry(await JournalFiles.open(options.storage), options)
    } catch (error) {
      throw error instanceof StorageError ? diskError(error) : error
    }
  }

  async openSession(lost: (reason: Error) => void): Promise<RegistrySession> {
    if (this.#failure !== undefined || this.#closing !== undefined) {
      throw new MqError('registry_unavailable', 'the embedded registry has stopped')
    }
    return this.#sessions.openSession(lost).session
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#sessions.closeAll()
    await this.#writing
    if (this.#failure === undefined) {
      // A snapshot is checked as a whole: after a clean stop not one byte can go bad unseen.
      await this.#attempt(() => this.#files.startGeneration(this.#durable))
    }
    await this.#files.close()
  }

  /** Ephemeral nodes that a full disk keeps go with the next batch that is written. */
  async #endSession(session: number): Promise<void> {
    this.#ended.add(session)
    try {
      await this.#enqueue(session, [])
    } catch (error) {
      if (!isMqError(error, 'disk_full')) throw error
    }
  }

  #enqueue(session: number, ops: readonly RegistryOp[]): Promise<CommitOutcome> {
    if (this.#failure !== undefined) return Promise.resolve({ kind: 'unknown' })
    return new Promise((answer, fail) => {
      this.#waiting.push({ session, ops, answer, fail })
      this.#writing ??= this.#writeAll()
    })
  }

  async #writeAll(): Promise<void> {
    // What is asked for in the same turn shares the first sync too.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      await this.#writeBatch(this.#waiting.splice(0, mostPerBatch))
      if (this.#failure === undefined && this.#files.journalBytes > this.#nextSnapshotBytes) {
        await this.#takeSnapshot()
      }
    }
    this.#writing = undefined
  }

  async #takeSnapshot(): Promise<void> {
    const taken = await this.#attempt(() => this.#files.startGeneration(this.#durable))
    // Without room the journal goes on; trying again costs a whole snapshot, so not at once.
    this.#nextSnapshotBytes =
      taken === 'full' ? this.#files.journalBytes * 2 : this.#snapshotAfterBytes
  }

  async #writeBatch(batch: readonly Waiting[]): Promise<void> {
    if (this.#failure !== undefined) return answerUnknown(batch)
    const ended = [...this.#ended]
    const removals = ended.map((session) => ({
      session,
      ops: this.#staged.ephemerals(session).map(removal),
    }))
    const tried = [...removals, ...batch].map(({ session, ops }) => ({
      entry: { session, ops },
      outcome: this.#staged.commit(ops, session),
    }))
    const entries = tried
      .filter(({ entry, outcome }) => outcome.kind === 'applied' && changes(entry.ops))
      .map(({ entry }) => entry)
    const written =
      entries.length === 0 ? 'done' : await this.#attempt(() => this.#files.append(entries))
    if (written === 'failed') return answerUnknown(batch)
    if (written === 'full') return this.#refuseFull(batch)
    this.#carryOut(entries)
    for (const session of ended) this.#ended.delete(session)
    for (const [index, { outcome }] of tried.slice(removals.length).entries())
      batch[index]?.answer(outcome)
  }

  #carryOut(entries: readonly JournalEntry[]): void {
    for (const { ops, session } of entries) {
      const outcome = this.#durable.commit(ops, session)
      assert(
        outcome.kind === 'applied',
        'what was carried out on the staged tree can be on the durable one',
      )
      this.#sessions.changed(touchedPaths(ops))
    }
  }

  #refuseFull(batch: readonly Waiting[]): void {
    this.#staged = copyOf(this.#durable)
    for (const { fail } of batch)
      fail(new MqError('disk_full', 'the disk of the registry has no room'))
  }

  async #attempt(write: () => Promise<void>): Promise<'done' | 'full' | 'failed'> {
    try {
      await write()
      return 'done'
    } catch (error) {
      if (error instanceof StorageError && error.kind === 'full') return 'full'
      this.#failure = diskError(error)
      this.#onFatal(this.#failure)
      for (const session of this.#sessions.open) await this.#sessions.lose(session, this.#failure)
      return 'failed'
    }
  }
}

/** Bounds what one sync covers, and so how long the first of them waits. */
const mostPerBatch = 1_000

function answerUnknown(batch: readonly Waiting[]): void {
  for (const { answer } of batch) answer({ kind: 'unknown' })
}

function changes(ops: readonly RegistryOp[]): boolean {
  return ops.some(({ kind }) => kind !== 'check')
}

function removal(path: string): RegistryOp {
  return { kind: 'remove', path }
}

function copyOf(tree: RegistryTree): RegistryTree {
  const copy = new RegistryTree()
  for (const node of tree.nodes()) copy.restore(node)
  return copy
}

function diskError(cause: unknown): MqError {
  const what = cause instanceof Error ? cause.message : String(cause)
  const name = cause instanceof StorageError && cause.kind === 'full' ? 'disk_full' : 'disk_failed'
  return new MqError(name, `the disk of the registry: ${what}`, { cause })
}
