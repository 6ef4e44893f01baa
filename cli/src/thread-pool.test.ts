import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
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

/** How many threads the process of the real command has when it ends. */
function threadsOfCommand(size: string | undefined): number {
  const bin = path.join(import.meta.dirname, '../bin/popmq.js')
  const script = `
    process.on('exit', () => require('node:fs').writeSync(2, '\\n' + require('node:fs').readdirSync('/proc/self/task').length))
    process.argv = ['node', 'popmq', '--version']
    require(${JSON.stringify(bin)})`
  const environment = { ...process.env }
  delete environment['UV_THREADPOOL_SIZE']
  if (size !== undefined) environment['UV_THREADPOOL_SIZE'] = size
  const { stderr } = spawnSync(process.execPath, ['-e', script], {
    encoding: 'utf8',
    env: environment,
  })
  return Number(stderr.trim().split('\n').at(-1))
}

void test('the command has sixteen threads, unless the user asks for another number', (t) => {
  if (!existsSync('/proc/self/task')) return t.skip('Not run on this machine: there is no /proc')
  const [few, wanted] = [threadsOfCommand('4'), threadsOfCommand(undefined)]
  assert.equal(wanted - few, 12, `${few} threads with a pool of 4, ${wanted} with ours`)
})
