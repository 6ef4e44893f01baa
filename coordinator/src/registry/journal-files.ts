import {
  assert,
  readWhole,
  replaceFile,
  type Storage,
  type StorageFile,
  writeAll,
} from '@popmq/kit'
import { MqError } from '@popmq/protocol'
import { RegistryTree } from '../core/registry-tree.ts'
import {
  damaged,
  decodeJournal,
  encodeJournalHeader,
  encodeJournalRecord,
  type JournalEntry,
  journalHeaderBytes,
} from './journal.ts'
import { decodeSnapshot, encodeSnapshot } from './snapshot.ts'

const snapshotName = 'snapshot'
const journalPattern = /^journal-(\d{10})$/
const journalName = (generation: number): string =>
  `journal-${String(generation).padStart(10, '0')}`

/**
 * The files of the embedded registry: `snapshot` of generation g, and `journal-g` with what came after it. A new
 * generation is made in this order, each step durable before the next:
 *   1. `journal-(g+1)`, empty   2. `snapshot` of g+1, by rename   3. `journal-g` goes
 * so at any time the snapshot that has the name finds its journal.
 */
export class JournalFiles {
  readonly #storage: Storage
  #generation: number
  #journal: StorageFile
  #end = journalHeaderBytes
  #synced = journalHeaderBytes

  private constructor(storage: Storage, generation: number, journal: StorageFile) {
    this.#storage = storage
    this.#generation = generation
    this.#journal = journal
  }

  /**
   * Reads what is there. Whatever is given back is durable, ephemeral nodes of earlier runs are gone.
   * @throws MqError `damaged_log`, `newer_format`, `data_directory_invalid`
   */
  static async open(storage: Storage): Promise<{ files: JournalFiles; tree: RegistryTree }> {
    const { tree, generation } = await recover(storage)
    for (const path of tree.ephemerals()) tree.commit([{ kind: 'remove', path }], 0)
    const next = generation + 1
    const files = new JournalFiles(storage, next, await startGeneration(storage, tree, next))
    await files.#removeOthers()
    return { files, tree }
  }

  /** Bytes of the journal: how much a recovery reads beside the snapshot. */
  get journalBytes(): number {
    return this.#end
  }

  /**
   * Makes `entries` durable, by one write and one sync.
   * @throws StorageError `full`: then nothing was done; after any other error nothing may be trusted
   */
  async append(entries: readonly JournalEntry[]): Promise<void> {
    const records: Uint8Array[] = []
    let position = this.#end
    for (const entry of entries) {
      const record = encodeJournalRecord(entry, { position, synced: this.#synced })
      records.push(record)
      position += record.length
    }
    await this.#write(records)
    await this.#journal.sync()
    this.#end = position
    this.#synced = position
    await this.#mark()
  }

  /** Writes a snapshot and starts the next journal. @throws StorageError as `append` */
  async startGeneration(tree: RegistryTree): Promise<void> {
    const next = this.#generation + 1
    const journal = await startGeneration(this.#storage, tree, next)
    const old = this.#journal
    this.#generation = next
    this.#journal = journal
    this.#end = journalHeaderBytes
    this.#synced = journalHeaderBytes
    await old.close()
    await this.#removeOthers()
  }

  async close(): Promise<void> {
    await this.#journal.close()
  }

  async #write(parts: readonly Uint8Array[]): Promise<void> {
    try {
      await writeAll(this.#journal, parts, this.#end)
    } catch (error) {
      // Part of it may be there: a full disk must not leave what the next recovery takes for a change.
      await this.#journal.truncate(this.#end)
      await this.#journal.sync()
      throw error
    }
  }

  /** Proves to a recovery that everything before it was synced. Not synced itself: the next one does that. */
  async #mark(): Promise<void> {
    const mark = encodeJournalRecord(
      { session: 0, ops: [] },
      { position: this.#end, synced: this.#synced },
    )
    const written = await this.#journal.write([mark], this.#end).catch(zeroWhenFull)
    if (written === mark.length) this.#end += mark.length
    else if (written > 0) await this.#journal.truncate(this.#end)
  }

  async #removeOthers(): Promise<void> {
    for (const { name } of await this.#storage.list('')) {
      if (journalPattern.test(name) && name !== journalName(this.#generation))
        await this.#storage.remove(name)
    }
    await this.#storage.syncFolder('')
  }
}

/** Steps 1 and 2. @returns the new journal, open */
async function startGeneration(
  storage: Storage,
  tree: RegistryTree,
  generation: number,
): Promise<StorageFile> {
  const name = journalName(generation)
  await storage.remove(name)
  const journal = await storage.create(name)
  try {
    await writeAll(journal, [encodeJournalHeader(generation)], 0)
    await journal.sync()
    await storage.syncFolder('')
    await replaceFile(storage, snapshotName, encodeSnapshot(tree, generation))
    return journal
  } catch (error) {
    await journal.close()
    throw error
  }
}

async function recover(storage: Storage): Promise<{ tree: RegistryTree; generation: number }> {
  const snapshot = await readWhole(storage, snapshotName)
  const found =
    snapshot === undefined
      ? { tree: new RegistryTree(), generation: 0 }
      : decodeSnapshot(snapshot, snapshotName)
  const journals = (await storage.list('')).flatMap(
    ({ name }) => journalPattern.exec(name)?.[1] ?? [],
  )
  for (const generation of journals.map(Number)) {
    if (generation > found.generation) await refuseLater(storage, generation, found.generation)
  }
  if (found.generation > 0) await replay(storage, found)
  return found
}

/** A journal beyond the snapshot was made for the next one, which never got its name: it holds no change. */
async function refuseLater(
  storage: Storage,
  generation: number,
  ofSnapshot: number,
): Promise<void> {
  const name = journalName(generation)
  const file = await readWhole(storage, name)
  if (generation === ofSnapshot + 1 && (file?.length ?? 0) <= journalHeaderBytes) return
  throw new MqError(
    'damaged_log',
    `the registry file ${name} goes on from a snapshot that is missing`,
    {
      facts: { file: name },
    },
  )
}

async function replay(
  storage: Storage,
  { tree, generation }: { tree: RegistryTree; generation: number },
): Promise<void> {
  const name = journalName(generation)
  const file = await readWhole(storage, name)
  if (file === undefined) {
    throw new MqError('damaged_log', `the registry file ${name} is missing`, {
      facts: { file: name },
    })
  }
  const journal = decodeJournal(file, name)
  if (journal.generation !== generation) throw damaged(name, 8)
  for (const { ops, session } of journal.entries) {
    const outcome = tree.commit(ops, session)
    assert(outcome.kind === 'applied', 'a journal holds only changes that were carried out')
  }
}

function zeroWhenFull(error: unknown): number {
  if (error instanceof Error && 'kind' in error && error.kind === 'full') return 0
  throw error
}
