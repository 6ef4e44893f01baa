import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, test } from 'node:test'
import { DataDirectoryError, openDataDirectory } from './data-directory.ts'

const scratch = await mkdtemp(join(tmpdir(), 'popmq-data-'))
after(() => rm(scratch, { recursive: true }))
let folders = 0
const freshPath = (): string => join(scratch, `data-${(folders += 1)}`)

const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

const isKind = (kind: DataDirectoryError['kind']) => (error: unknown) =>
  error instanceof DataDirectoryError && error.kind === kind

/** Says `ready`, waits for a line, opens the directory, says `held` or the kind of error, and stays. */
const starter = `
  import { openDataDirectory } from ${JSON.stringify(new URL('./data-directory.js', import.meta.url).href)}
  process.stdin.once('data', async () => {
    const opened = await openDataDirectory(process.argv[1], { role: 'broker' }).catch((error) => error)
    console.log(opened.kind ?? (opened.root ? 'held' : opened))
  })
  console.log('ready')
`

class Starter {
  readonly child: ChildProcess
  readonly #lines: string[] = []

  constructor(path: string) {
    this.child = spawn(process.execPath, ['--input-type=module', '-e', starter, path], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    children.push(this.child)
    this.child.on('error', (error) => this.#lines.push(String(error)))
    this.child.stdin?.on('error', (error) => this.#lines.push(String(error)))
    this.child.stdout?.on('error', (error) => this.#lines.push(String(error)))
    this.child.stdout?.on('data', (chunk: Buffer) => {
      this.#lines.push(...chunk.toString().trim().split('\n'))
      this.child.emit('line')
    })
  }

  async line(): Promise<string> {
    while (this.#lines.length === 0) await once(this.child, 'line')
    return this.#lines.shift() ?? ''
  }

  async open(): Promise<string> {
    this.child.stdin?.write('go\n')
    return this.line()
  }

  async kill(): Promise<void> {
    const ended = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await ended
  }
}

async function readyStarters(path: string, count: number): Promise<Starter[]> {
  const starters = Array.from({ length: count }, () => new Starter(path))
  for (const each of starters) assert.equal(await each.line(), 'ready')
  return starters
}

void test('a new data directory says what it is, and only its user may read it', async () => {
  const path = join(freshPath(), 'a', 'b')
  const directory = await openDataDirectory(path, { role: 'broker', brokerId: 3, now: () => 0 })
  assert.deepEqual(JSON.parse(await readFile(join(path, 'format.json'), 'utf8')), {
    format: 1,
    role: 'broker',
    brokerId: 3,
    createdAt: '1970-01-01T00:00:00.000Z',
  })
  const { mode } = await stat(path)
  assert.equal(mode & 0o777, 0o700)
  for (const name of await readdir(path)) {
    const file = await stat(join(path, name))
    assert.equal(file.mode & 0o777, 0o600, name)
  }
  await directory.close()
})

void test('a closed data directory opens again with what it held', async () => {
  const path = freshPath()
  const first = await openDataDirectory(path, { role: 'broker' })
  await first.claim({ clusterId: 'c1', brokerId: 1 })
  await first.close()
  await first.close()
  const second = await openDataDirectory(path, { role: 'broker', clusterId: 'c1' })
  assert.deepEqual(second.format, first.format)
  assert.equal(second.format.clusterId, 'c1')
  assert.equal(second.format.brokerId, 1)
  await second.close()
})

void test('an open data directory is refused to a second one in the same process', async () => {
  const path = freshPath()
  const directory = await openDataDirectory(path, { role: 'broker' })
  await assert.rejects(openDataDirectory(path, { role: 'broker' }), isKind('locked'))
  await assert.rejects(
    openDataDirectory(path, { role: 'broker' }),
    new RegExp(`process ${process.pid}`),
  )
  await directory.close()
})

void test('data of another cluster or broker are refused, and the lock is given up again', async () => {
  const path = freshPath()
  const directory = await openDataDirectory(path, { role: 'broker', clusterId: 'c1', brokerId: 1 })
  await assert.rejects(directory.claim({ clusterId: 'c2' }), isKind('foreign'))
  await directory.close()
  await assert.rejects(
    openDataDirectory(path, { role: 'broker', clusterId: 'c2' }),
    isKind('foreign'),
  )
  await assert.rejects(openDataDirectory(path, { role: 'broker', brokerId: 2 }), isKind('foreign'))
  await assert.rejects(openDataDirectory(path, { role: 'coordinator' }), isKind('invalid'))
  const again = await openDataDirectory(path, { role: 'broker', clusterId: 'c1', brokerId: 1 })
  assert.equal(again.format.clusterId, 'c1')
  await again.close()
})

void test('a folder of somebody else is refused and left as it was', async () => {
  const path = freshPath()
  await mkdir(path)
  await writeFile(join(path, 'thesis.tex'), 'text')
  await assert.rejects(openDataDirectory(path, { role: 'broker' }), isKind('invalid'))
  assert.deepEqual(await readdir(path), ['thesis.tex'])
})

void test('an empty folder that is there already will do, also behind a link', async () => {
  const path = freshPath()
  await mkdir(join(path, 'lost+found'), { recursive: true })
  const alias = freshPath()
  await symlink(path, alias)
  const directory = await openDataDirectory(alias, { role: 'coordinator' })
  assert.equal(directory.format.role, 'coordinator')
  await assert.rejects(openDataDirectory(path, { role: 'coordinator' }), isKind('locked'))
  await directory.close()
})

void test('a path that is no folder is refused', async () => {
  const path = freshPath()
  await writeFile(path, '')
  await assert.rejects(openDataDirectory(path, { role: 'broker' }), isKind('invalid'))
  await assert.rejects(
    openDataDirectory(join(path, 'below'), { role: 'broker' }),
    isKind('invalid'),
  )
})

const badFormats: readonly [kind: DataDirectoryError['kind'], text: string][] = [
  ['newer_format', '{"format":2,"layout":"unheard of"}'],
  ['invalid', ''],
  ['invalid', '{"format":1,"role":"bro'],
  ['invalid', '[]'],
  ['invalid', 'null'],
  ['invalid', '{"format":"1","role":"broker","createdAt":""}'],
  ['invalid', '{"format":0,"role":"broker","createdAt":""}'],
  ['invalid', '{"format":1,"role":"gateway","createdAt":""}'],
  ['invalid', '{"format":1,"role":"broker"}'],
  ['invalid', '{"format":1,"role":"broker","createdAt":"","clusterId":7}'],
  ['invalid', '{"format":1,"role":"broker","createdAt":"","brokerId":"7"}'],
]
for (const [kind, text] of badFormats) {
  void test(`a data directory is refused as ${kind} when its format.json says ${JSON.stringify(text)}`, async () => {
    const path = freshPath()
    await mkdir(path)
    await writeFile(join(path, 'format.json'), text)
    await assert.rejects(openDataDirectory(path, { role: 'broker' }), isKind(kind))
    assert.equal(await readFile(join(path, 'format.json'), 'utf8'), text)
  })
}

void test('the data directory of a killed process can be opened at once, and that of a living one cannot', async () => {
  const path = freshPath()
  const [first] = await readyStarters(path, 1)
  assert.ok(first)
  assert.equal(await first.open(), 'held')
  await assert.rejects(openDataDirectory(path, { role: 'broker' }), isKind('locked'))
  await first.kill()
  const directory = await openDataDirectory(path, { role: 'broker' })
  const [second] = await readyStarters(path, 1)
  assert.equal(await second?.open(), 'locked')
  await directory.close()
})

void test('of ten that start at once on a new directory exactly one gets it', async () => {
  const starters = await readyStarters(freshPath(), 10)
  const answers = await Promise.all(starters.map((each) => each.open()))
  assert.deepEqual(answers.toSorted(), ['held', ...Array<string>(9).fill('locked')])
})

void test('of ten that start at once after a kill exactly one gets it, again and again', async () => {
  const path = freshPath()
  const starters = await readyStarters(path, 20)
  while (starters.length > 0) {
    const round = starters.splice(0, 5)
    const answers = await Promise.all(round.map((each) => each.open()))
    assert.deepEqual(answers.toSorted(), ['held', ...Array<string>(4).fill('locked')])
    await Promise.all(round.map((each) => each.kill()))
  }
})
