import { type Storage, StorageError, type StorageFile } from '@popmq/kit'
import type { Plant } from './plant.ts'

type FileChange = (file: StorageFile) => Partial<StorageFile>

/** Bugs between the broker and its disk. */
export const storagePlants: readonly Plant[] = [
  {
    name: 'sync-does-nothing',
    what: 'a sync answers without making anything durable',
    wrapStorage: (storage) => withFiles(storage, () => ({ sync: () => Promise.resolve() })),
  },
  {
    name: 'sync-answers-early',
    what: 'a sync answers when it begins',
    wrapStorage: (storage) =>
      withFiles(storage, (file) => ({
        sync: () => {
          // Nobody waits for it, so nobody hears that it failed.
          void syncUnheard(file)
          return Promise.resolve()
        },
      })),
  },
  {
    name: 'sync-failure-swallowed',
    what: 'a failed sync is taken for a good one',
    wrapStorage: (storage) => withFiles(storage, (file) => ({ sync: () => syncUnheard(file) })),
  },
  {
    name: 'folder-sync-skipped',
    what: 'new names are not made durable',
    wrapStorage: (storage) => ({ ...bound(storage), syncFolder: () => Promise.resolve() }),
  },
  {
    name: 'page-cache-trusted',
    what: 'recovery does not write again what it read, though a failed sync may have left it in the page cache only',
    wrapStorage: (storage) => withFiles(storage, withoutRewrites),
  },
  {
    name: 'short-write-told-as-whole',
    what: 'the number of bytes that were written is not looked at',
    wrapStorage: (storage) =>
      withFiles(storage, (file) => ({
        write: async (parts, at) => {
          await file.write(parts, at)
          return parts.reduce((sum, part) => sum + part.length, 0)
        },
      })),
  },
]

/** Syncs and keeps a failure of the disk to itself: that is the bug. */
async function syncUnheard(file: StorageFile): Promise<void> {
  try {
    await file.sync()
  } catch (error) {
    if (!(error instanceof StorageError)) throw error
  }
}

/** What lies inside the file already is not written: only recovery does that. */
function withoutRewrites(file: StorageFile): Partial<StorageFile> {
  return {
    write: async (parts, at) => {
      const bytes = parts.reduce((sum, part) => sum + part.length, 0)
      return at + bytes <= (await file.size()) ? bytes : file.write(parts, at)
    },
  }
}

function withFiles(storage: Storage, change: FileChange): Storage {
  const changed = (file: StorageFile): StorageFile => ({ ...boundFile(file), ...change(file) })
  return {
    ...bound(storage),
    open: async (path) => {
      const file = await storage.open(path)
      return file === undefined ? undefined : changed(file)
    },
    create: async (path) => changed(await storage.create(path)),
  }
}

function bound(storage: Storage): Storage {
  return {
    open: (path) => storage.open(path),
    create: (path) => storage.create(path),
    list: (folder) => storage.list(folder),
    rename: (from, to) => storage.rename(from, to),
    remove: (path) => storage.remove(path),
    syncFolder: (folder) => storage.syncFolder(folder),
    space: () => storage.space(),
  }
}

function boundFile(file: StorageFile): StorageFile {
  return {
    path: file.path,
    size: () => file.size(),
    read: (target, at) => file.read(target, at),
    write: (parts, at) => file.write(parts, at),
    sync: () => file.sync(),
    truncate: (bytes) => file.truncate(bytes),
    close: () => file.close(),
  }
}
