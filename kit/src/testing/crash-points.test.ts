import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readWhole, replaceFile, writeAll } from '../storage.ts'
import { type CrashCheck, type CrashScript, enumerateCrashPoints } from './crash-points.ts'
import type { MemoryStorage } from './memory-storage.ts'
import { Scheduler } from './scheduler.ts'
import { SeededRandom } from './seeded-random.ts'
import { randomLatency } from './storage-operations.ts'

const old = new TextEncoder().encode('old registry, long enough to be torn')
const young = new TextEncoder().encode('new registry')

/** After `note` the new bytes must be there; before, either of them, whole. */
const wholeFile: CrashCheck<'replaced'> = async (storage, { notes }) => {
  const found = await readWhole(storage, 'state')
  const allowed = notes.length > 0 ? [young] : [old, young]
  assert.ok(
    found && allowed.some((bytes) => Buffer.compare(bytes, found) === 0),
    `found ${String(found)}`,
  )
}

function replacing(replace: (storage: MemoryStorage) => Promise<void>): CrashScript<'replaced'> {
  return async (storage, note) => {
    storage.plant('state', old)
    await replace(storage)
    note('replaced')
  }
}

void test('a replaced file survives a crash at every point', async () => {
  const crashes = await enumerateCrashPoints(
    replacing((storage) => replaceFile(storage, 'state', young)),
    wholeFile,
  )
  // remove, create, write, sync, rename, sync of the folder: 7 points, 1 + 1 + 3 + 3 outcomes each.
  assert.equal(crashes, 7 * 8)
})

/** Ways to replace a file that each forget one thing; each must be caught. */
const careless: Record<string, (storage: MemoryStorage) => Promise<void>> = {
  'writing in place': async (storage) => {
    const file = await storage.open('state')
    assert.ok(file)
    await writeAll(file, [young], 0)
    await file.truncate(young.length)
    await file.sync()
  },
  'renaming before the sync': async (storage) => {
    const file = await storage.create('state.new')
    await writeAll(file, [young], 0)
    await storage.rename('state.new', 'state')
    await storage.syncFolder('')
    await file.sync()
  },
  'forgetting to sync the folder': async (storage) => {
    const file = await storage.create('state.new')
    await writeAll(file, [young], 0)
    await file.sync()
    await storage.rename('state.new', 'state')
  },
  'forgetting to sync the file': async (storage) => {
    const file = await storage.create('state.new')
    await writeAll(file, [young], 0)
    await storage.rename('state.new', 'state')
    await storage.syncFolder('')
  },
  'syncing while the write is under way': async (storage) => {
    const file = await storage.create('state.new')
    await Promise.all([writeAll(file, [young], 0), file.sync()])
    await storage.rename('state.new', 'state')
    await storage.syncFolder('')
  },
}

for (const [mistake, replace] of Object.entries(careless)) {
  void test(`the enumeration finds the mistake of ${mistake}`, async () => {
    await assert.rejects(
      enumerateCrashPoints(replacing(replace), wholeFile),
      /crash after effect \d+ of \d+ \(/,
    )
  })
}

void test('an enumeration is the same each time', async () => {
  const outcomes = async (): Promise<string[]> => {
    const seen: string[] = []
    await enumerateCrashPoints(
      replacing((storage) => replaceFile(storage, 'state', young)),
      async (storage, { effects, mode, seed, notes }) => {
        const left = await storage.list('')
        seen.push(
          JSON.stringify({ effects, mode, seed, notes, left, state: storage.peek('state') }),
        )
      },
      { seed: 7 },
    )
    return seen
  }
  assert.deepEqual(await outcomes(), await outcomes())
})

void test('a script may live on virtual time, with operations that overtake each other', async () => {
  const random = new SeededRandom(3)
  let scheduler = new Scheduler()
  const crashes = await enumerateCrashPoints<number>(
    async (storage, note) => {
      const append = async (at: number): Promise<void> => {
        const file = await storage.create(`log/${at}`)
        await writeAll(file, [Uint8Array.of(at)], 0)
        await file.sync()
        await storage.syncFolder('log')
        note(at)
      }
      let done = 0
      for (const at of [1, 2, 3]) void append(at).then(() => (done += 1))
      assert.ok(await scheduler.runUntil(() => done === 3))
    },
    (storage, { notes }) => {
      for (const at of notes) assert.deepEqual(storage.peek(`log/${at}`), Uint8Array.of(at))
    },
    {
      storage: () => {
        scheduler = new Scheduler()
        return { schedule: randomLatency(scheduler, random) }
      },
    },
  )
  assert.equal(crashes, 13 * 8)
})

void test('a script that fails by itself is reported, not taken for a crash', async () => {
  await assert.rejects(
    enumerateCrashPoints(
      () => Promise.reject(new Error('own mistake')),
      () => undefined,
    ),
    /the script failed without a crash/,
  )
})
