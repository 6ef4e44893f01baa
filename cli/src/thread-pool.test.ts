import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'

/** Opening a pipe that nobody writes to holds a thread of the pool for ever: six of them, then one use of the pool. */
const sixStuckThreads = `
  const { execFileSync } = require('node:child_process')
  const { open } = require('node:fs')
  for (let count = 0; count < 6; count += 1) {
    const pipe = process.argv[1] + '/' + count
    execFileSync('mkfifo', [pipe])
    open(pipe, 'r', () => undefined)
  }
  const giveUp = setTimeout(() => end('frozen'), 2000)
  require('node:crypto').pbkdf2('a', 'b', 1, 32, 'sha256', () => end('free'))
  function end(word) {
    clearTimeout(giveUp)
    require('node:fs').writeSync(1, word)
    process.kill(process.pid, 'SIGKILL')
  }
`

function poolWith(first: string, size: string | undefined): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'popmq-pool-'))
  const environment = { ...process.env }
  delete environment['UV_THREADPOOL_SIZE']
  if (size !== undefined) environment['UV_THREADPOOL_SIZE'] = size
  try {
    const args = ['-e', first + sixStuckThreads, folder]
    return spawnSync(process.execPath, args, { encoding: 'utf8', env: environment }).stdout
  } finally {
    rmSync(folder, { recursive: true })
  }
}

void test('six stuck threads freeze the pool of four, and not one of sixteen', () => {
  assert.equal(poolWith('', undefined), 'frozen')
  assert.equal(poolWith('', '16'), 'free')
})

void test('the size takes effect when it is set before anything used the pool', () => {
  assert.equal(poolWith(`process.env.UV_THREADPOOL_SIZE ??= '16';`, undefined), 'free')
})

void test('importing the module asks for sixteen, unless the user asked for another number', async () => {
  const module = JSON.stringify(new URL('./thread-pool.js', import.meta.url).href)
  const script = `import(${module}).then(({ askedThreads }) => console.log(askedThreads, process.env.UV_THREADPOOL_SIZE))`
  const environment = { ...process.env }
  delete environment['UV_THREADPOOL_SIZE']
  const run = (env: NodeJS.ProcessEnv): string =>
    spawnSync(process.execPath, ['-e', script], { encoding: 'utf8', env }).stdout
  assert.equal(run(environment), 'undefined 16\n')
  assert.equal(run({ ...environment, UV_THREADPOOL_SIZE: '5' }), '5 5\n')
})
