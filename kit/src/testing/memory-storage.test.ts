import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StorageError, type StorageFile, writeAll } from '../storage.ts'
import { MemoryStorage, type MemoryStorageOptions } from './memory-storage.ts'
import { Scheduler } from './scheduler.ts'
import { SeededRandom } from './seeded-random.ts'
import { storageContract } from './storage-contract.ts'
import { randomLatency, type StorageOperation } from './storage-operations.ts'

storageContract('memory storage', () => Promise.resolve(new MemoryStorage()))

storageContract('memory storage with operations that overtake each other', () => {
  const random = new SeededRandom(1)
  const schedule = (run: () => void): void =>
    void setImmediate(() => (random.next() < 0.5 ? run() : schedule(run)))
  return Promise.resolve(new MemoryStorage({ schedule }))
})

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const textOf = (storage: MemoryStorage, path: string): string | undefined => {
  const found = storage.peek(path)
  return found && new TextDecoder().decode(found)
}
const full = (error: unknown): boolean => error instanceof StorageError && error.kind === 'full'
const failed = (error: unknown): boolean => error instanceof StorageError && error.kind === 'failed'

/** A storage whose file `a` holds "synced" durably. */
async function withFile(
  options: MemoryStorageOptions = {},
): Promise<{ storage: MemoryStorage; file: StorageFile }> {
  const storage = new MemoryStorage(options)
  const file = await storage.create('a')
  await writeAll(file, [bytes('synced')], 0)
  await file.sync()
  await storage.syncFolder('')
  return { storage, file }
}

void test('a power cut loses what was not synced, or keeps it, as told', async () => {
  const { storage, file } = await withFile()
  await writeAll(file, [bytes('+more')], 6)
  assert.equal(textOf(storage.crash({ mode: 'lose' }), 'a'), 'synced')
  assert.equal(textOf(storage.crash({ mode: 'keep' }), 'a'), 'synced+more')
})

void test('a cut of the file is lost like a write when it was not synced', async () => {
  const { storage, file } = await withFile()
  await file.truncate(2)
  assert.equal(textOf(storage.crash({ mode: 'lose' }), 'a'), 'synced')
  assert.equal(textOf(storage.crash({ mode: 'keep' }), 'a'), 'sy')
})

void test('a killed process leaves everything, still unsynced', async () => {
  const { storage, file } = await withFile()
  await writeAll(file, [bytes('+more')], 6)
  await storage.create('b')
  const next = storage.crash({ mode: 'kill' })
  assert.equal(textOf(next, 'a'), 'synced+more')
  assert.equal(textOf(next, 'b'), '')
  const after = next.crash({ mode: 'lose' })
  assert.equal(textOf(after, 'a'), 'synced')
  assert.equal(textOf(after, 'b'), undefined)
})

void test('a sync by the next process covers what the killed one had written', async () => {
  const { storage, file } = await withFile()
  await writeAll(file, [bytes('+more')], 6)
  const next = storage.crash({ mode: 'kill' })
  const again = await next.open('a')
  await again?.sync()
  assert.equal(textOf(next.crash({ mode: 'lose' }), 'a'), 'synced+more')
})

void test('a sync covers the writes that were done when it was asked for, and no others', async () => {
  const { storage, file } = await withFile()
  await Promise.all([file.write([bytes('late')], 6), file.sync()])
  assert.equal(textOf(storage.crash({ mode: 'lose' }), 'a'), 'synced')
})

void test('a file whose folder was not synced may vanish although its bytes were synced', async () => {
  const { storage } = await withFile()
  const file = await storage.create('log/b')
  await writeAll(file, [bytes('b')], 0)
  await file.sync()
  await storage.syncFolder('')
  assert.equal(textOf(storage.crash({ mode: 'lose' }), 'log/b'), undefined)
  await assert.rejects(storage.syncFolder('log'), failed)
})

void test('a renaming that was not synced is done or not, and never half done', async () => {
  const { storage } = await withFile()
  const file = await storage.create('a.new')
  await writeAll(file, [bytes('new')], 0)
  await file.sync()
  await storage.syncFolder('')
  await storage.rename('a.new', 'a')
  const seen = new Set<string>()
  for (let seed = 0; seed < 50; seed += 1) {
    const left = storage.crash({ mode: 'random', random: new SeededRandom(seed) })
    seen.add(`${textOf(left, 'a')} ${textOf(left, 'a.new')}`)
  }
  assert.deepEqual([...seen].toSorted(), ['new undefined', 'synced new'])
})

void test('a name that is used again cannot lose the file that had it before', async () => {
  const { storage } = await withFile()
  await storage.rename('a', 'b')
  await storage.create('a')
  for (let seed = 0; seed < 50; seed += 1) {
    const left = storage.crash({ mode: 'random', random: new SeededRandom(seed) })
    assert.ok([textOf(left, 'a'), textOf(left, 'b')].includes('synced'), `seed ${seed}`)
  }
})

void test('syncing a folder brings along the creation of a file that was renamed into it', async () => {
  const { storage } = await withFile()
  await storage.create('new/b')
  await storage.rename('new/b', 'log/b')
  await storage.syncFolder('log')
  const left = storage.crash({ mode: 'lose' })
  assert.equal(textOf(left, 'log/b'), '')
  assert.equal(textOf(left, 'new/b'), undefined)
  assert.equal(textOf(storage.crash({ mode: 'keep' }), 'new/b'), undefined)
})

void test('a random crash keeps some writes and loses others, older ones too', async () => {
  const { storage, file } = await withFile()
  await writeAll(file, [bytes('1')], 6)
  await writeAll(file, [bytes('2')], 7)
  const seen = outcomes(storage, 'random')
  for (const text of ['synced', 'synced1', 'synced12', 'synced\0' + '2'])
    assert.ok(seen.has(text), text)
})

void test('a random crash can keep any page of one write', async () => {
  const storage = new MemoryStorage()
  storage.plant('a', new Uint8Array(3 * 4096))
  const file = await storage.open('a')
  assert.ok(file)
  await writeAll(file, [new Uint8Array(3 * 4096).fill(1)], 0)
  const patterns = new Set<string>()
  for (let seed = 0; seed < 200; seed += 1) {
    const left = storage.crash({ mode: 'random', random: new SeededRandom(seed) }).peek('a')
    patterns.add([0, 4095, 4096, 8191, 8192, 12287].map((at) => left?.[at]).join(''))
  }
  assert.equal(patterns.size, 8, [...patterns].join(' '))
})

void test('a torn write leaves its front, and what was written before it', async () => {
  const { storage, file } = await withFile()
  await writeAll(file, [bytes('[first]')], 6)
  await writeAll(file, [bytes('SYN')], 0)
  const fronts = ['SYNced[first]', 'SYnced[first]', 'Synced[first]', 'synced[first]']
  assert.deepEqual(outcomes(storage, 'torn'), new Set(fronts))
})

void test('after a failed sync the bytes are seen, the next sync is content, and a crash loses them', async () => {
  const { storage, file } = await withFile()
  await writeAll(file, [bytes('+lost')], 6)
  storage.failNext('sync')
  await assert.rejects(file.sync(), failed)
  await writeAll(file, [bytes('+kept')], 11)
  await file.sync()
  assert.equal(textOf(storage, 'a'), 'synced+lost+kept')
  assert.equal(textOf(storage.crash({ mode: 'keep' }), 'a'), 'synced\0\0\0\0\0+kept')
})

void test('a write that does not fit is short first, then the disk is full', async () => {
  const { storage, file } = await withFile({ capacityBytes: 10 })
  assert.equal(await file.write([bytes('12'), bytes('345678')], 6), 4)
  assert.equal(textOf(storage, 'a'), 'synced1234')
  await assert.rejects(file.write([bytes('5')], 10), full)
  assert.equal(await file.write([bytes('SYNCED')], 0), 6)
  assert.deepEqual(await storage.space(), { freeBytes: 0, totalBytes: 10 })
  storage.setCapacity(11)
  assert.equal(await file.write([bytes('5678')], 10), 1)
})

void test('a removed file takes room until it is closed', async () => {
  const { storage, file } = await withFile({ capacityBytes: 10 })
  await storage.remove('a')
  assert.equal((await storage.space()).freeBytes, 4)
  await file.close()
  assert.equal((await storage.space()).freeBytes, 10)
})

void test('the fault policy is asked about each operation, and planned faults go before it', async () => {
  const asked: StorageOperation[] = []
  const { storage, file } = await withFile({
    fault: (operation) => {
      asked.push(operation)
      return operation.kind === 'write' && operation.count === 3 ? { short: 2 } : 'ok'
    },
  })
  storage.failNext('write', 'full')
  await assert.rejects(file.write([bytes('abc')], 6), full)
  assert.equal(await file.write([bytes('abc')], 6), 2)
  storage.failNext('read')
  await assert.rejects(file.read(new Uint8Array(4), 0), failed)
  await file.read(new Uint8Array(4), 0)
  assert.deepEqual(
    asked.map(({ kind, path, bytes: size, count }) => `${kind} ${path} ${size} ${count}`),
    ['create a 0 1', 'write a 6 1', 'sync a 0 1', 'syncFolder  0 1', 'write a 3 3', 'read a 4 2'],
  )
})

void test('a flipped bit is seen at once and after every crash', async () => {
  const { storage, file } = await withFile()
  await writeAll(file, [bytes('Z')], 5)
  storage.flipBit('a', 0, 1)
  storage.flipBit('a', 5)
  assert.equal(textOf(storage, 'a'), 'qynce[')
  assert.equal(textOf(storage.crash({ mode: 'keep' }), 'a'), 'qynce[')
  assert.equal(textOf(storage.crash({ mode: 'lose' }), 'a'), 'qyncee')
})

void test('after a crash the old storage fails, and what was under way never completes', async () => {
  const scheduler = new Scheduler()
  const storage = new MemoryStorage({ schedule: randomLatency(scheduler, new SeededRandom(1)) })
  storage.plant('a', bytes('synced'))
  let file: StorageFile | undefined
  void storage.open('a').then((opened) => (file = opened))
  await scheduler.run(10)
  assert.ok(file)
  let completed = false
  void file.write([bytes('late')], 0).finally(() => (completed = true))
  const next = storage.crash({ mode: 'keep' })
  await scheduler.run(1_000)
  assert.equal(completed, false)
  assert.equal(textOf(next, 'a'), 'synced')
  await assert.rejects(file.sync(), failed)
  await assert.rejects(file.read(new Uint8Array(1), 0), failed)
  await assert.rejects(storage.list(''), failed)
  await file.close()
})

void test('a stopped storage does the effects it was allowed, then nothing any more', async () => {
  const storage = new MemoryStorage()
  storage.stopAfter(2)
  const file = await storage.create('a')
  await file.write([bytes('abc')], 0)
  assert.equal(await file.size(), 3)
  let completed = false
  void file.sync().finally(() => (completed = true))
  await storage.stopped
  void storage.list('').finally(() => (completed = true))
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(completed, false)
  assert.deepEqual(
    storage.effects.map(({ kind }) => kind),
    ['create', 'write'],
  )
})

void test('operations overtake each other, the same way for the same seed', async () => {
  const orders = await Promise.all([1, 1, 2, 3, 4].map(orderOfEffects))
  assert.deepEqual(orders[0], orders[1])
  assert.ok(new Set(orders.map(String)).size > 1)
})

async function orderOfEffects(seed: number): Promise<string[]> {
  const scheduler = new Scheduler()
  const storage = new MemoryStorage({ schedule: randomLatency(scheduler, new SeededRandom(seed)) })
  const made = ['a', 'b', 'c', 'd', 'e'].map((path) => storage.create(path))
  await scheduler.run(10)
  await Promise.all(made)
  return storage.effects.map(({ path }) => path)
}

function outcomes(storage: MemoryStorage, mode: 'random' | 'torn'): Set<string | undefined> {
  const seen = new Set<string | undefined>()
  for (let seed = 0; seed < 200; seed += 1)
    seen.add(textOf(storage.crash({ mode, random: new SeededRandom(seed) }), 'a'))
  return seen
}
