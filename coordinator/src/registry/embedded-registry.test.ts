import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Storage } from '@popmq/kit'
import {
  enumerateCrashPoints,
  MemoryStorage,
  randomLatency,
  Scheduler,
  SeededRandom,
} from '@popmq/kit/testing'
import { isMqError, type MqError } from '@popmq/protocol'
import type { RegistryOp, RegistrySession } from '../core/registry-port.ts'
import { registryContract } from './testing/registry-contract.ts'
import { EmbeddedRegistry } from './embedded-registry.ts'

registryContract('embedded', async () => {
  const registry = await open(new MemoryStorage())
  return { openSession: (lost) => registry.openSession(lost), close: () => registry.close() }
})

function open(storage: Storage, snapshotAfterBytes?: number): Promise<EmbeddedRegistry> {
  return EmbeddedRegistry.open({
    storage,
    onFatal: (error) => {
      throw error
    },
    ...(snapshotAfterBytes === undefined ? {} : { snapshotAfterBytes }),
  })
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const unexpected = (): void => assert.fail('no session is lost here')
const write = (number: number): RegistryOp[] => [
  { kind: 'set', path: '/last', value: bytes(String(number)) },
  { kind: 'create', path: `/all/n${number}`, value: bytes(String(number)) },
]

async function begin(registry: EmbeddedRegistry): Promise<RegistrySession> {
  const session = await registry.openSession(unexpected)
  await session.commit([
    { kind: 'create', path: '/last', value: bytes('0') },
    { kind: 'create', path: '/all', value: bytes('') },
  ])
  return session
}

/** The number of the last write, after checking that exactly those up to it are there. */
async function lastWrite(session: RegistrySession): Promise<number> {
  const node = await session.read('/last')
  const names = await session.children('/all')
  if (node === undefined) {
    assert.equal(names, undefined)
    return -1
  }
  const last = Number(new TextDecoder().decode(node.value))
  assert.equal(node.version, last + 1)
  assert.deepEqual(names, Array.from({ length: last }, (_, index) => `n${index + 1}`).toSorted())
  return last
}

async function reopened(storage: Storage): Promise<{ registry: EmbeddedRegistry; last: number }> {
  const registry = await open(storage)
  const session = await registry.openSession(unexpected)
  return { registry, last: await lastWrite(session) }
}

void test('what was answered or read is there after a crash at every point, and nothing is there in part', async () => {
  const crashes = await enumerateCrashPoints<number>(
    async (storage, note) => {
      const registry = await open(storage, 700)
      const session = await begin(registry)
      note(0)
      const reader = await registry.openSession(unexpected)
      for (let number = 1; number <= 10; number += 2) {
        // Two share a batch; a reader that sees a write may act on it, so seeing it is a promise too.
        const both = [session.commit(write(number)), session.commit(write(number + 1))]
        reader.watch('/last', () => void lastWrite(reader).then(note))
        note(await lastWrite(reader))
        await both[0]
        note(number)
        await both[1]
        note(number + 1)
        note(await lastWrite(reader))
      }
      await session.commit([
        { kind: 'create', path: '/all/mine', value: bytes(''), ephemeral: true },
      ])
      await session.close()
      await registry.close()
    },
    async (storage, { notes }) => {
      const { registry, last } = await reopened(storage)
      assert.ok(
        last >= Math.max(-1, ...notes),
        `write ${last} is the last there, ${notes.at(-1)} was promised`,
      )
      const session = await registry.openSession(unexpected)
      if (last >= 0) assert.deepEqual(await session.commit(write(last + 1)), { kind: 'applied' })
      await registry.close()
      // And what the recovery made of it lasts.
      assert.equal((await reopened(storage.crash({ mode: 'lose' }))).last, last < 0 ? -1 : last + 1)
    },
    { draws: 4 },
  )
  assert.ok(crashes > 300, `${crashes} crashes were tried`)
})

void test('a crash in the middle of a recovery loses nothing either', async () => {
  const before = new MemoryStorage()
  const session = await begin(await open(before))
  for (let number = 1; number <= 5; number += 1) await session.commit(write(number))
  const files = (await before.list('')).map(({ name }) => ({
    name,
    content: before.peek(name) ?? bytes(''),
  }))
  await enumerateCrashPoints<number>(
    async (storage) => {
      for (const { name, content } of files) storage.plant(name, content)
      await open(storage)
    },
    async (storage) => assert.equal((await reopened(storage)).last, 5),
  )
})

void test('with writes that overtake each other every answer still comes after its sync', async () => {
  for (let seed = 1; seed <= 30; seed += 1) {
    const scheduler = new Scheduler()
    const random = new SeededRandom(seed)
    const storage = new MemoryStorage({ schedule: randomLatency(scheduler, random) })
    let promised = -1
    const work = async (): Promise<void> => {
      const session = await begin(await open(storage, 600))
      const writes = Array.from({ length: 30 }, async (_, index) => {
        const outcome = await session.commit(write(index + 1))
        assert.equal(outcome.kind, 'applied')
        promised = index + 1
      })
      await Promise.all(writes)
    }
    const working = work()
    working.catch((error: unknown) => assert.fail(String(error)))
    await scheduler.run(5 + random.next() * 200)
    const left = storage.crash({ mode: 'torn', random })
    const found = reopened(left)
    let done = false
    void found.then(() => (done = true))
    assert.ok(await scheduler.runUntil(() => done))
    assert.ok((await found).last >= promised)
  }
})

void test('one changed bit anywhere is refused or harmless, never a lost write', async () => {
  const storage = new MemoryStorage()
  const session = await begin(await open(storage))
  for (let number = 1; number <= 3; number += 1) await session.commit(write(number))
  const names = ['snapshot', 'journal-0000000001']
  let refused = 0
  for (const name of names) {
    for (let at = 0; at < (storage.peek(name)?.length ?? 0); at += 1) {
      const copy = new MemoryStorage()
      for (const other of names) copy.plant(other, storage.peek(other) ?? bytes(''))
      copy.flipBit(name, at, at % 8)
      try {
        assert.equal((await reopened(copy)).last, 3, `byte ${at} of ${name}`)
      } catch (error) {
        if (!isMqError(error, 'damaged_log', 'data_directory_invalid', 'newer_format')) throw error
        refused += 1
      }
    }
  }
  assert.ok(refused > 300, `${refused} of the changed bits were refused`)
})

void test('a torn tail is cut, a journal or snapshot that is gone is refused', async () => {
  const storage = new MemoryStorage()
  const session = await begin(await open(storage))
  for (let number = 1; number <= 3; number += 1) await session.commit(write(number))
  const journal = storage.peek('journal-0000000001') ?? bytes('')
  const snapshot = storage.peek('snapshot') ?? bytes('')
  const torn = new MemoryStorage()
  torn.plant('snapshot', snapshot)
  torn.plant('journal-0000000001', new Uint8Array([...journal, 1, 2, 3]))
  assert.equal((await reopened(torn)).last, 3)
  for (const left of ['snapshot', 'journal-0000000001']) {
    const partial = new MemoryStorage()
    partial.plant(left, storage.peek(left) ?? bytes(''))
    await assert.rejects(
      open(partial),
      (error: unknown) => isMqError(error, 'damaged_log') && /missing/.test(error.message),
    )
  }
})

void test('a file of a later format is refused by name', async () => {
  const storage = new MemoryStorage()
  await (await open(storage)).close()
  const snapshot = storage.peek('snapshot') ?? bytes('')
  snapshot[4] = 2
  storage.plant('snapshot', snapshot)
  await assert.rejects(
    open(storage),
    (error: unknown) => isMqError(error, 'newer_format') && /snapshot/.test(error.message),
  )
})

void test('a failed sync ends it: nothing is answered as done, every session is lost, once', async () => {
  const storage = new MemoryStorage()
  const fatal: MqError[] = []
  const registry = await EmbeddedRegistry.open({ storage, onFatal: (error) => fatal.push(error) })
  let lost = 0
  const session = await registry.openSession(() => (lost += 1))
  storage.failNext('sync')
  const outcomes = await Promise.all([
    session.commit([{ kind: 'create', path: '/a', value: bytes('') }]),
    session.commit([{ kind: 'create', path: '/b', value: bytes('') }]),
  ])
  assert.deepEqual(outcomes, [{ kind: 'unknown' }, { kind: 'unknown' }])
  assert.deepEqual(await session.commit([{ kind: 'create', path: '/c', value: bytes('') }]), {
    kind: 'unknown',
  })
  await assert.rejects(session.read('/a'), (error: unknown) =>
    isMqError(error, 'registry_unavailable'),
  )
  await assert.rejects(registry.openSession(unexpected), (error: unknown) =>
    isMqError(error, 'registry_unavailable'),
  )
  assert.deepEqual([lost, fatal.map(({ name }) => name)], [1, ['disk_failed']])
  await registry.close()
})

void test('a full disk refuses a commit and leaves no part of it; with room again all goes on', async () => {
  const storage = new MemoryStorage()
  const registry = await open(storage)
  const session = await begin(registry)
  const short = await registry.openSession(unexpected)
  await short.commit([{ kind: 'create', path: '/all/short', value: bytes(''), ephemeral: true }])
  storage.failNext('write', { short: 7 })
  storage.failNext('write', 'full')
  await assert.rejects(session.commit(write(1)), (error: unknown) => isMqError(error, 'disk_full'))
  storage.failNext('write', 'full')
  await short.close()
  assert.deepEqual(await session.children('/all'), ['short'])
  assert.deepEqual(await session.commit(write(1)), { kind: 'applied' })
  assert.equal(await lastWrite(session), 1)
  assert.equal((await reopened(storage.crash({ mode: 'lose' }))).last, 1)
})

void test('a commit that a full disk refused does not come back after a crash', async () => {
  const trial = new MemoryStorage()
  const tried = await begin(await open(trial))
  await Promise.all([tried.commit(write(1)), tried.commit(write(2))])
  // The last write but the mark: two records of one length.
  const batchBytes = trial.effects.filter(({ kind }) => kind === 'write').at(-2)?.bytes ?? 0
  for (const mode of ['lose', 'keep', 'random', 'torn'] as const) {
    const storage = new MemoryStorage()
    const session = await begin(await open(storage))
    // The first of the batch is on the disk as a whole when the second finds no room.
    storage.failNext('write', { short: batchBytes / 2 + 1 })
    storage.failNext('write', 'full')
    const refused = await Promise.allSettled([session.commit(write(1)), session.commit(write(2))])
    assert.deepEqual(
      refused.map(({ status }) => status),
      ['rejected', 'rejected'],
    )
    assert.equal((await reopened(storage.crash({ mode }))).last, 0)
  }
})

void test('a long journal gives way to a snapshot, and old files go', async () => {
  const storage = new MemoryStorage()
  const registry = await open(storage, 2_000)
  const session = await begin(registry)
  for (let number = 1; number <= 100; number += 1) await session.commit(write(number))
  const files = await storage.list('')
  assert.equal(files.length, 2)
  assert.ok((files.find(({ name }) => name !== 'snapshot')?.bytes ?? 0) < 3_000)
  await registry.close()
  assert.equal((await reopened(storage)).last, 100)
})

void test('ephemeral nodes do not outlive the process', async () => {
  const storage = new MemoryStorage()
  const session = await (await open(storage)).openSession(unexpected)
  await session.commit([{ kind: 'create', path: '/mine', value: bytes(''), ephemeral: true }])
  const registry = await open(storage.crash({ mode: 'keep' }))
  const next = await registry.openSession(unexpected)
  assert.deepEqual(await next.children('/'), [])
  assert.deepEqual(
    await next.commit([{ kind: 'create', path: '/mine', value: bytes(''), ephemeral: true }]),
    { kind: 'applied' },
  )
  await registry.close()
})
