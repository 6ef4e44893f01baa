// @ts-check
/** The linter's configuration finds what it is there for: each rule is shown on a planted violation. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { root } from './child.mjs'

const longBody = Array.from({ length: 71 }, (_, at) => `  f(${at})`).join('\n')

/** @type {[rule: string, file: string, code: string][]} */
const planted = [
  [
    'no-restricted-imports',
    'broker/src/core/a.ts',
    "import { open } from 'node:fs/promises'\nopen('a')",
  ],
  ['no-restricted-imports', 'protocol/src/b.ts', "import { join } from 'path'\njoin('a')"],
  ['no-restricted-globals', 'broker/src/core/c.ts', 'setTimeout(() => 1, 1)'],
  ['no-restricted-globals', 'broker/src/core/d.ts', 'globalThis.setInterval(() => 1, 1)'],
  ['no-restricted-globals', 'client/src/core/e.ts', 'process.exit()'],
  ['no-restricted-globals', 'protocol/src/f.ts', 'Buffer.alloc(1)'],
  ['no-restricted-globals', 'protocol/src/g.ts', 'performance.now()'],
  ['no-restricted-properties', 'protocol/src/h.ts', 'export const now = Date.now()'],
  ['no-restricted-properties', 'broker/src/core/deep/i.ts', 'export const { random } = Math'],
  ['no-floating-promises', 'kit/src/a.ts', 'const f = async () => 1\nf()'],
  [
    'no-floating-promises',
    'kit/src/b.test.ts',
    "import { test } from 'node:test'\ntest('a', () => {})",
  ],
  ['no-misused-promises', 'kit/src/c.ts', '[1].forEach(async () => 1)'],
  [
    'switch-exhaustiveness-check',
    'kit/src/d.ts',
    "export function f(a: 'x' | 'y') {\n  switch (a) {\n    case 'x':\n      return 1\n  }\n  return 2\n}",
  ],
  ['only-throw-error', 'kit/src/e.ts', "throw 'text'"],
  ['no-explicit-any', 'kit/src/f.ts', 'export const a: any = 1'],
  ['no-empty', 'kit/src/g.ts', 'try {\n  eval("1")\n} catch {}'],
  ['max-params', 'kit/src/h.ts', 'export const f = (a: 1, b: 1, c: 1, d: 1) => [a, b, c, d]'],
  [
    'max-lines-per-function',
    'kit/src/i.ts',
    `export function g(f: (n: number) => void) {\n${longBody}\n}`,
  ],
  ['no-default-export', 'kit/src/j.ts', 'export default 1'],
  ['no-cycle', 'kit/src/k.ts', "import { l } from './l.ts'\nexport const k = () => l"],
  ['no-cycle', 'kit/src/l.ts', "import { k } from './k.ts'\nexport const l = () => k"],
  [
    'consistent-type-imports',
    'kit/src/m.ts',
    "import { Server } from 'node:net'\nexport type A = Server",
  ],
  ['eqeqeq', 'kit/src/n.ts', 'export const f = (a: number) => a == 1'],
]

/** @type {[file: string, code: string][]} */
const clean = [
  ['kit/src/clock.ts', 'export const now = (): number => Date.now()'],
  [
    'broker/src/core/z.test.ts',
    "import { test } from 'node:test'\nvoid test('a', async () => {\n  await Promise.resolve(Date.now())\n})",
  ],
  ['broker/src/net/y.ts', 'setTimeout(() => 1, 1)'],
]

const folder = mkdtempSync(path.join(tmpdir(), 'popmq-lint-'))
/** Rules that spoke, per file. @type {Map<string, string[]>} */
const found = new Map()

before(() => {
  copyFileSync(path.join(root, '.oxlintrc.json'), path.join(folder, '.oxlintrc.json'))
  copyFileSync(path.join(root, 'tsconfig.base.json'), path.join(folder, 'tsconfig.base.json'))
  symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'))
  for (const [file, code] of [...planted.map(([, file, code]) => [file, code]), ...clean]) {
    mkdirSync(path.dirname(path.join(folder, file ?? '')), { recursive: true })
    writeFileSync(path.join(folder, file ?? ''), `${code}\n`)
  }
  for (const name of ['kit', 'protocol', 'broker', 'client']) {
    const settings = {
      extends: '../tsconfig.base.json',
      compilerOptions: { rootDir: 'src', outDir: 'dist' },
      include: ['src'],
    }
    writeFileSync(path.join(folder, name, 'tsconfig.json'), JSON.stringify(settings))
  }
  const oxlint = path.join(root, 'node_modules/oxlint/bin/oxlint')
  const { stdout } = spawnSync(process.execPath, [oxlint, '--format=unix'], {
    cwd: folder,
    encoding: 'utf8',
  })
  for (const [, file = '', rule = ''] of stdout.matchAll(/^([^:\n]+):\d+:\d+: .*\((\S+)\)\]$/gm)) {
    found.set(file, [...(found.get(file) ?? []), rule])
  }
})

after(() => rmSync(folder, { recursive: true }))

for (const [rule, file] of planted) {
  void test(`${rule} speaks in ${file}`, () => {
    assert.ok(
      found.get(file)?.includes(rule),
      `it said: ${found.get(file)?.join(', ') ?? 'nothing'}`,
    )
  })
}

for (const [file] of clean) {
  void test(`nothing speaks in ${file}`, () => {
    assert.equal(found.get(file), undefined)
  })
}
