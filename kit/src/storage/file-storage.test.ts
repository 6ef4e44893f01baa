import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { StorageError, writeAll } from '../storage.ts'
import { storageContract } from '../testing/storage-contract.ts'
import { fileStorage } from './file-storage.ts'

const folders: string[] = []
after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))))

async function freshFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'popmq-storage-'))
  folders.push(folder)
  return folder
}

storageContract('file storage', async () => fileStorage(await freshFolder()))

const one = Uint8Array.of(1)
const isFailed = (error: unknown): boolean =>
  error instanceof StorageError && error.kind === 'failed'

void test('files and folders are for their user alone', async () => {
  const root = await freshFolder()
  await (await fileStorage(root).create('a/b')).close()
  const [folder, file] = [await stat(join(root, 'a')), await stat(join(root, 'a/b'))]
  assert.equal(folder.mode & 0o777, 0o700)
  assert.equal(file.mode & 0o777, 0o600)
})

void test('a symbolic link is refused, as a file, as a folder, and where a file is to be made', async () => {
  const [root, outside] = [await freshFolder(), await freshFolder()]
  await writeFile(join(outside, 'secret'), 'secret')
  await symlink(outside, join(root, 'folder'))
  await symlink(join(outside, 'secret'), join(root, 'file'))
  await symlink(join(outside, 'new'), join(root, 'dangling'))
  const storage = fileStorage(root)
  await (await storage.create('plain')).close()
  for (const attempt of [
    () => storage.open('file'),
    () => storage.open('folder/secret'),
    () => storage.create('dangling'),
    () => storage.create('folder/new'),
    () => storage.rename('plain', 'file'),
    () => storage.rename('plain', 'folder/new'),
    () => storage.rename('folder/secret', 'stolen'),
    () => storage.remove('folder/secret'),
    () => storage.list('folder'),
    () => storage.list(''),
    () => storage.syncFolder('folder'),
  ]) {
    await assert.rejects(attempt, isFailed, String(attempt))
  }
  assert.deepEqual(await readdir(outside), ['secret'])
})

void test('what is no plain file cannot be opened, and a failure names the path', async () => {
  const root = await freshFolder()
  const storage = fileStorage(root)
  await (await storage.create('folder/file')).close()
  await assert.rejects(
    storage.open('folder'),
    (error) => isFailed(error) && String(error).includes(join(root, 'folder')),
  )
  await assert.rejects(storage.create('folder/file/below'), isFailed)
})

void test('on a full disk a write is short first, then refused as full, and nothing else breaks', async (t) => {
  const root = await freshFolder()
  if (!mountSmallDisk(root))
    return t.skip('Not run on this machine: it takes root to mount a small disk')
  try {
    const storage = fileStorage(root)
    const file = await storage.create('segment')
    const parts = [new Uint8Array(700_000), new Uint8Array(700_000)]
    const written = await file.write(parts, 0)
    assert.ok(written > 700_000 && written < 1_400_000, String(written))
    await assert.rejects(
      file.write([one], written),
      (error) => error instanceof StorageError && error.kind === 'full',
    )
    assert.equal(await file.size(), written)
    assert.equal((await storage.space()).freeBytes, 0)
    await file.truncate(0)
    await writeAll(file, [one], 0)
    await file.sync()
    await file.close()
  } finally {
    spawnSync('umount', [root])
  }
})

/** A tmpfs of 1 MiB at `folder`. @returns whether this machine lets us */
function mountSmallDisk(folder: string): boolean {
  return spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'popmq-test', folder]).status === 0
}
