// @ts-check
/** What `npm pack` makes of client and cli installs into an empty folder and works there. Uses the package registry. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { root } from './child.mjs'
import { readJson } from './tidy/repository.mjs'

const folder = mkdtempSync(path.join(tmpdir(), 'popmq-pack-'))
after(() => rmSync(folder, { recursive: true }))

/** What npm tells the scripts it runs, us among them, must not reach the npm that a user would start. */
const env = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) => !/^npm_(?!config_(?:registry|cache|userconfig))|^NODE_TEST_CONTEXT$/i.test(name),
  ),
)

/**
 * @param {string} command
 * @param {string[]} args
 * @param {string} cwd
 */
function output(command, args, cwd) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, env, encoding: 'utf8' })
  assert.equal(status, 0, `${command} ${args.join(' ')}\n${stdout}\n${stderr}`)
  return stdout
}

/**
 * @param {string} workspace
 * @returns {{ tarball: string, files: string[] }}
 */
function pack(workspace) {
  const args = ['pack', '-w', workspace, '--json', '--pack-destination', folder]
  /** @type {[{ filename: string, files: { path: string, mode: number }[] }]} */
  const [packed] = JSON.parse(output('npm', args, root))
  return {
    tarball: path.join(folder, packed.filename),
    files: packed.files.map((file) => file.path),
  }
}

/**
 * Installs a tarball into an empty folder.
 * @param {string} name
 * @param {string} tarball
 * @returns {string} the folder
 */
function installAlone(name, tarball) {
  const alone = path.join(folder, name)
  mkdirSync(alone)
  writeFileSync(path.join(alone, 'package.json'), '{ "private": true }\n')
  const quiet = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund']
  output('npm', ['install', ...quiet, tarball], alone)
  return alone
}

void test('the packed client installs alone, can be imported, and brings ws and cbor-x only', () => {
  const { tarball, files } = pack('client')
  assert.deepEqual(
    files.filter((file) => /\.test\.|\.tsbuildinfo|\/src\//.test(file)),
    [],
  )
  const alone = installAlone('client', tarball)
  const said = output(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      "import('@popmq/client').then((m) => console.log(typeof m.connect))",
    ],
    alone,
  )
  assert.equal(said, 'function\n')
  const ofOthers = readdirSync(path.join(alone, 'node_modules')).filter(
    (name) => !name.startsWith('.') && !name.startsWith('@popmq'),
  )
  const optional = [
    '@cbor-extract',
    'cbor-extract',
    'detect-libc',
    'node-gyp-build-optional-packages',
  ]
  assert.deepEqual(
    ofOthers.filter((name) => !optional.includes(name)),
    ['cbor-x', 'ws'],
  )
})

void test('the packed cli installs alone and npx popmq runs', () => {
  const { tarball } = pack('cli')
  const alone = installAlone('cli', tarball)
  const { version } = readJson(path.join(root, 'cli/package.json'))
  const said = output('npx', ['--no-install', 'popmq', '--version'], alone)
  assert.equal(said.trim(), version)
})

void test('packing leaves no copies behind', () => {
  for (const workspace of ['client', 'cli']) {
    pack(workspace)
    assert.equal(existsSync(path.join(root, workspace, 'node_modules/@popmq')), false)
  }
})
