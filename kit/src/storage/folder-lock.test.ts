import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { type FolderLock, lockFolder } from './folder-lock.ts'
import { ownIdentity, type ProcessIdentity } from './process-identity.ts'

const scratch: string[] = []
after(() => Promise.all(scratch.map((folder) => rm(folder, { recursive: true }))))

async function freshFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'popmq-lock-'))
  scratch.push(folder)
  return folder
}

async function take(folder: string): Promise<FolderLock> {
  const lock = await lockFolder(folder, { touchEveryMs: 20, patienceMs: 200 })
  assert.ok(!('heldBy' in lock), 'the folder is free')
  return lock
}

/** A folder locked by a process like this one but for `difference`. */
async function lockedBy(difference: Partial<ProcessIdentity>): Promise<string> {
  const folder = await freshFolder()
  await writeFile(
    join(folder, 'lock-7'),
    JSON.stringify({ ...(await ownIdentity()), ...difference }),
  )
  return folder
}

void test('of many that take and give up one lock at once never two have it', async () => {
  const folder = await freshFolder()
  let [holders, taken, refused] = [0, 0, 0]
  const taker = async (): Promise<void> => {
    for (let round = 0; round < 60; round += 1) {
      const lock = await lockFolder(folder)
      if ('heldBy' in lock) {
        refused += 1
        continue
      }
      holders += 1
      taken += 1
      assert.equal(holders, 1)
      if (taken % 3 === 0) await readdir(folder)
      holders -= 1
      await lock.release()
    }
  }
  await Promise.all(Array.from({ length: 8 }, taker))
  assert.ok(taken > 8 && refused > 8, `${taken} taken, ${refused} refused`)
  await take(folder)
  assert.equal((await readdir(folder)).length, 1)
})

void test('a lock is held while its process lives, and free when another one has its number', async () => {
  const held = await lockFolder(await lockedBy({}))
  assert.deepEqual(held, { heldBy: process.pid })
  const { startedAt } = await ownIdentity()
  if (startedAt !== '') await take(await lockedBy({ startedAt: `${startedAt}1` }))
})

void test('a lock from before the machine started again is free', async () => {
  await take(await lockedBy({ boot: 'an earlier one' }))
})

void test('a lock whose file a power cut left empty or half written is free', async () => {
  for (const text of ['', '\0\0\0\0', '{"pid":', '{}', '7', '{"pid":-1}', '{"pid":"1"}']) {
    const folder = await freshFolder()
    await writeFile(join(folder, 'lock-3'), text)
    await writeFile(join(folder, 'lock-2.991.new'), '')
    await take(folder)
    assert.deepEqual(await readdir(folder), ['lock-4'])
  }
})

void test('a holder in another container keeps the lock while it touches it, and no longer', async () => {
  const folder = await freshFolder()
  const lock = await take(folder)
  const [name] = await readdir(folder)
  assert.ok(name)
  const identity: unknown = JSON.parse(await readFile(join(folder, name), 'utf8'))
  const elsewhere = JSON.stringify({ ...Object(identity), pid: 1, pidNamespace: 'another' })
  await writeFile(join(folder, name), elsewhere)
  assert.deepEqual(await lockFolder(folder, { patienceMs: 400 }), { heldBy: 1 })
  await lock.release()
  await writeFile(join(folder, name), elsewhere)
  await take(folder)
})

void test('one that looked long ago backs off, although the number it saw free is free still', async () => {
  const folder = await lockedBy({ pidNamespace: 'another' })
  const slow = lockFolder(folder, { patienceMs: 1_000 })
  const first = await take(folder)
  await first.release()
  const second = await take(folder)
  assert.deepEqual(await slow, { heldBy: process.pid })
  assert.equal((await readdir(folder)).length, 1)
  await second.release()
})

void test('a holder learns that its lock file is gone', async () => {
  const folder = await freshFolder()
  const lock = await take(folder)
  const [name] = await readdir(folder)
  assert.ok(name)
  await unlink(join(folder, name))
  const keepAlive = setInterval(() => undefined, 1_000)
  assert.equal(await lock.lost, undefined)
  clearInterval(keepAlive)
  await lock.release()
})
