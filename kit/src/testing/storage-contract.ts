import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  readWhole,
  replaceFile,
  type Storage,
  StorageError,
  type StorageFile,
  writeAll,
} from '../storage.ts'

const text = new TextEncoder()

/** Registers the tests that every `Storage` must pass. `make` gives an empty storage and is called once per test. */
export function storageContract(name: string, make: () => Promise<Storage>): void {
  const fact = (sentence: string, check: (storage: Storage) => Promise<void>): void => {
    void test(`${name}: ${sentence}`, async () => check(await make()))
  }
  contentFacts(fact)
  largeWriteFacts(fact)
  nameFacts(fact)
  folderFacts(fact)
  handleFacts(fact)
}

type Fact = (sentence: string, check: (storage: Storage) => Promise<void>) => void

function contentFacts(fact: Fact): void {
  fact('what is written is read back, in parts and at any place', async (storage) => {
    const file = await storage.create('log/segment')
    await writeAll(file, [text.encode('ab'), text.encode(''), text.encode('cdef')], 0)
    await writeAll(file, [text.encode('XY')], 1)
    assert.equal(await readText(file, 0, 6), 'aXYdef')
    assert.equal(await readText(file, 3, 2), 'de')
    assert.equal(await file.size(), 6)
    await file.close()
  })

  fact('a read gives fewer bytes only at the end of the file', async (storage) => {
    const file = await storage.create('segment')
    await writeAll(file, [text.encode('abc')], 0)
    assert.equal(await file.read(new Uint8Array(10), 0), 3)
    assert.equal(await file.read(new Uint8Array(10), 2), 1)
    assert.equal(await file.read(new Uint8Array(10), 3), 0)
    assert.equal(await file.read(new Uint8Array(10), 99), 0)
    assert.equal(await file.read(new Uint8Array(0), 0), 0)
    await file.close()
  })

  fact('a gap between two writes reads as zeros', async (storage) => {
    const file = await storage.create('segment')
    await writeAll(file, [text.encode('b')], 5)
    assert.deepEqual(await readWhole(storage, 'segment'), Uint8Array.of(0, 0, 0, 0, 0, 0x62))
    await file.close()
  })

  fact('cut bytes are gone, and zeros when the file grows again', async (storage) => {
    const file = await storage.create('segment')
    await writeAll(file, [text.encode('abcdef')], 0)
    await file.truncate(2)
    assert.equal(await file.size(), 2)
    await file.truncate(4)
    await file.sync()
    assert.equal(await readText(file, 0, 9), 'ab\0\0')
    await file.close()
  })

  fact('writing nothing writes nothing', async (storage) => {
    const file = await storage.create('segment')
    assert.equal(await file.write([], 7), 0)
    assert.equal(await file.write([new Uint8Array(0)], 7), 0)
    assert.equal(await file.size(), 0)
    await file.close()
  })
}

function largeWriteFacts(fact: Fact): void {
  fact('one write takes more parts than one system call does', async (storage) => {
    const parts = Array.from({ length: 5_000 }, (_, at) => Uint8Array.of(at & 0xff, at >> 8))
    const file = await storage.create('segment')
    await writeAll(file, parts, 0)
    await file.sync()
    assert.deepEqual(await readWhole(storage, 'segment'), new Uint8Array(Buffer.concat(parts)))
    await file.close()
  })

  fact('writes to different places may run at once', async (storage) => {
    const file = await storage.create('segment')
    const places = Array.from({ length: 64 }, (_, at) => at)
    await Promise.all(
      places.map((at) => writeAll(file, [Uint8Array.of(at), Uint8Array.of(at)], at * 2)),
    )
    await file.sync()
    const expected = new Uint8Array(places.flatMap((at) => [at, at]))
    assert.deepEqual(await readWhole(storage, 'segment'), expected)
    await file.close()
  })
}

function nameFacts(fact: Fact): void {
  fact('a file that is not there opens as undefined', async (storage) => {
    assert.equal(await storage.open('none'), undefined)
    assert.equal(await storage.open('no/such/folder'), undefined)
    assert.equal(await readWhole(storage, 'none'), undefined)
  })

  fact('what exists cannot be created', async (storage) => {
    await (await storage.create('a/b')).close()
    await assert.rejects(storage.create('a/b'), isFailure)
  })

  fact('a folder lists its files by name with their sizes, and no folders', async (storage) => {
    for (const name of ['log/10', 'log/9', 'log/a/inner', 'logs', 'log/B']) {
      const file = await storage.create(name)
      await writeAll(file, [text.encode(name)], 0)
      await file.close()
    }
    assert.deepEqual(await storage.list('log'), [
      { name: '10', bytes: 6 },
      { name: '9', bytes: 5 },
      { name: 'B', bytes: 5 },
    ])
    assert.deepEqual(await storage.list(''), [{ name: 'logs', bytes: 4 }])
    assert.deepEqual(await storage.list('none'), [])
  })

  fact('a renamed file takes the place of the one that had the name', async (storage) => {
    await replaceFile(storage, 'one', text.encode('1'))
    await replaceFile(storage, 'two', text.encode('2'))
    await storage.rename('one', 'two')
    assert.equal(await storage.open('one'), undefined)
    assert.deepEqual(await readWhole(storage, 'two'), text.encode('1'))
    await storage.rename('two', 'new/folder/three')
    assert.deepEqual(await readWhole(storage, 'new/folder/three'), text.encode('1'))
    await storage.rename('new/folder/three', 'new/folder/three')
    assert.deepEqual(await readWhole(storage, 'new/folder/three'), text.encode('1'))
    await assert.rejects(storage.rename('one', 'two'), isFailure)
  })

  fact('a removed file is gone, and may be removed again', async (storage) => {
    await (await storage.create('a/b')).close()
    await storage.remove('a/b')
    await storage.remove('a/b')
    await storage.remove('no/such/folder')
    assert.equal(await storage.open('a/b'), undefined)
    await (await storage.create('a/b')).close()
  })
}

function folderFacts(fact: Fact): void {
  fact('a folder can be synced, the root and one that is not there too', async (storage) => {
    await (await storage.create('a/b/c')).close()
    await storage.syncFolder('a/b')
    await storage.syncFolder('')
    await storage.syncFolder('none')
    assert.deepEqual(await storage.list('a/b'), [{ name: 'c', bytes: 0 }])
  })

  fact('a file is replaced whole, again and again', async (storage) => {
    await replaceFile(storage, 'registry/state', text.encode('long enough'))
    await replaceFile(storage, 'registry/state', text.encode('short'))
    assert.deepEqual(await readWhole(storage, 'registry/state'), text.encode('short'))
    assert.deepEqual(await storage.list('registry'), [{ name: 'state', bytes: 5 }])
  })

  fact('a path that leaves the root is a bug, not a request', async (storage) => {
    for (const path of [
      '../outside',
      'a/../../outside',
      '/etc/passwd',
      'a//b',
      './a',
      'a/',
      'a\\b',
      'a\0b',
    ]) {
      await assert.rejects(async () => storage.open(path), /broken invariant/, path)
      await assert.rejects(async () => storage.create(path), /broken invariant/, path)
      await assert.rejects(async () => storage.rename('a', path), /broken invariant/, path)
      await assert.rejects(async () => storage.remove(path), /broken invariant/, path)
      await assert.rejects(async () => storage.list(path), /broken invariant/, path)
      await assert.rejects(async () => storage.syncFolder(path), /broken invariant/, path)
    }
  })

  fact('there is room, and never more than the disk has', async (storage) => {
    const { freeBytes, totalBytes } = await storage.space()
    assert.ok(freeBytes > 0 && freeBytes <= totalBytes, `${freeBytes} of ${totalBytes}`)
  })
}

function handleFacts(fact: Fact): void {
  fact('two handles of one file see the same bytes', async (storage) => {
    const writer = await storage.create('segment')
    const reader = await storage.open('segment')
    assert.ok(reader)
    await writeAll(writer, [text.encode('abc')], 0)
    assert.equal(await readText(reader, 0, 3), 'abc')
    assert.equal(reader.path, 'segment')
    await Promise.all([writer.close(), reader.close()])
  })

  fact('an open file stays readable when its name is removed or taken', async (storage) => {
    const file = await storage.create('a')
    await writeAll(file, [text.encode('old')], 0)
    await replaceFile(storage, 'b', text.encode('new'))
    await storage.rename('b', 'a')
    await storage.remove('a')
    assert.equal(await readText(file, 0, 3), 'old')
    await file.close()
  })

  fact('closing waits for what is under way, and twice is once', async (storage) => {
    const file = await storage.create('a')
    const part = new Uint8Array(2 ** 20).fill(1)
    const ended: string[] = []
    const writing = Array.from({ length: 12 }, async (_, at) => {
      await writeAll(file, [part], at * part.length)
      ended.push('write')
    })
    const closing = [file.close(), file.close()].map((close) =>
      close.then(() => ended.push('close')),
    )
    await Promise.all([...writing, ...closing])
    await file.close()
    assert.deepEqual(ended.slice(0, 12), Array<string>(12).fill('write'))
    assert.deepEqual(await storage.list(''), [{ name: 'a', bytes: 12 * part.length }])
  })

  fact('a closed file refuses everything', async (storage) => {
    const file = await storage.create('a')
    await file.close()
    await assert.rejects(file.read(new Uint8Array(1), 0), isFailure)
    await assert.rejects(file.write([text.encode('a')], 0), isFailure)
    await assert.rejects(file.sync(), isFailure)
    await assert.rejects(file.truncate(0), isFailure)
    await assert.rejects(file.size(), isFailure)
  })
}

async function readText(file: StorageFile, at: number, bytes: number): Promise<string> {
  const target = new Uint8Array(bytes)
  const read = await file.read(target, at)
  return new TextDecoder().decode(target.subarray(0, read))
}

function isFailure(error: unknown): boolean {
  return error instanceof StorageError && error.kind === 'failed'
}
