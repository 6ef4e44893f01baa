// @ts-check
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkCode, rules } from './code.mjs'

/** @type {[rule: string, path: string, code: string][]} */
const planted = [
  ['leftover word', 'kit/src/a.ts', `// ${'TO' + 'DO'}: later`],
  ['leftover word', 'kit/src/a.ts', `/* ${'FIX' + 'ME'} */`],
  ['leftover word', 'docs/a.md', `${'X' + 'XX'} unclear`],
  ['ts-ignore', 'kit/src/a.ts', `// ${'@ts'}-ignore`],
  ['ts-ignore', 'scripts/a.mjs', `// ${'@ts'}-nocheck`],
  ['any', 'kit/src/a.ts', 'const a: any = 1'],
  ['any', 'kit/src/a.ts', 'const a = b as any'],
  ['any', 'kit/src/a.ts', 'const a = new Map<string, any>()'],
  ['any', 'kit/src/a.ts', 'function f(list: any[]) {}'],
  ['any', 'kit/src/a.ts', 'type A = string | any'],
  ['default export', 'kit/src/a.ts', 'export default 1'],
  ['default export', 'kit/src/a.ts', 'export { a as default }'],
  ['enum', 'kit/src/a.ts', 'export enum Color { red }'],
  ['enum', 'kit/src/a.ts', 'const enum Color { red }'],
  ['empty catch', 'kit/src/a.ts', 'try { f() } catch {}'],
  ['empty catch', 'kit/src/a.ts', 'try { f() } catch (error) {\n  // never mind\n}'],
  ['swallowed rejection', 'kit/src/a.ts', 'f().catch(() => {})'],
  ['swallowed rejection', 'kit/src/a.ts', 'f().catch((error) => undefined)'],
  ['unproved !', 'kit/src/a.ts', 'const a = list[0]!\n'],
  ['unproved !', 'kit/src/a.ts', 'const a = list.at(0)!.size'],
  ['clock in a core', 'broker/src/core/a.ts', 'const now = Date.now()'],
  ['clock in a core', 'protocol/src/a.ts', 'const now = new Date()'],
  ['clock in a core', 'client/src/core/a.ts', 'const now = new Date'],
  ['surroundings in a core', 'broker/src/core/a.ts', "import { systemClock } from '@popmq/kit'"],
  ['surroundings in a core', 'coordinator/src/core/a.ts', 'draw(systemRandom)'],
  ['narrowed test run', 'kit/src/a.test.ts', "test.only('a', () => {})"],
  ['narrowed test run', 'kit/src/a.test.ts', "test('a', { only: true }, () => {})"],
  ['skipped test', 'kit/src/a.test.ts', "test.skip('a', () => {})"],
  ['skipped test', 'kit/src/a.test.ts', "test('a', { skip: true }, () => {})"],
  ['skipped test', 'kit/src/a.test.ts', "t.skip('too slow')"],
  ['skipped test', 'kit/src/a.test.ts', "test.todo('a')"],
]

/** @type {[path: string, code: string][]} */
const clean = [
  ['kit/src/a.ts', '// it takes any list, default or not; new Date() and enums {} in a comment'],
  ['kit/src/a.ts', "const text = 'a: any, export default, catch {}, Date.now()'"],
  ['kit/src/a.ts', 'const pattern = /: any|catch {}/'],
  ['kit/src/a.ts', 'const text = `catch {} ${many} : any`'],
  ['kit/src/a.ts', 'const anyone: Company = company'],
  ['kit/src/a.ts', 'try { f() } catch (error) { throw new Error(text, { cause: error }) }'],
  ['kit/src/a.ts', 'if (a !== b && !c && a != d) f(!e)'],
  ['kit/src/a.ts', '// never empty here\nconst a = list[0]!'],
  ['kit/src/a.test.ts', 'const a = list[0]!'],
  ['kit/src/clock.ts', 'const now = Date.now()'],
  ['broker/src/core/a.ts', 'const born = new Date(bornAt).toISOString()'],
  ['broker/src/core/a.test.ts', 'const now = Date.now()'],
  ['kit/src/a.test.ts', 'if (!root) t.skip(`Not run on this machine: ${reason}`)'],
  ['kit/src/a.ts', 'cursor.skip(4)'],
  ['vite.config.ts', 'export default {}'],
]

for (const [rule, path, text] of planted) {
  void test(`${rule} is found in ${path}: ${JSON.stringify(text)}`, () => {
    const problems = checkCode({ path, text })
    assert.ok(
      problems.some((problem) => problem.includes(` ${rule}: `)),
      `got ${JSON.stringify(problems)}`,
    )
  })
}

for (const [path, text] of clean) {
  void test(`nothing is found in ${path}: ${JSON.stringify(text)}`, () => {
    assert.deepEqual(checkCode({ path, text }), [])
  })
}

void test('each rule has a planted sample', () => {
  const proved = new Set(planted.map(([rule]) => rule))
  assert.deepEqual(
    rules.map(({ name }) => name).filter((name) => !proved.has(name)),
    [],
  )
})

void test('a violation is reported with its file and line', () => {
  const problems = checkCode({ path: 'kit/src/a.ts', text: 'const a = 1\n\nconst b: any = 2\n' })
  assert.deepEqual(problems, ['kit/src/a.ts:3 any: use unknown and narrow it.'])
})
