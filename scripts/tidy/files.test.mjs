// @ts-check
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  checkGlossaryWords,
  checkLengths,
  checkMachineTraces,
  checkNames,
  refusedWords,
} from './files.mjs'

const path = 'kit/src/a.ts'
const lines = (/** @type {number} */ count) => 'x\n'.repeat(count)

void test('a file of 301 lines is too long, one of 300 is not', () => {
  assert.deepEqual(checkLengths([{ path, text: lines(300) }], {}), [])
  assert.match(checkLengths([{ path, text: lines(301) }], {}).join(), /301 lines, 300 are allowed/)
})

void test('a listed file may have 400 lines, not 401', () => {
  const allowed = { [path]: 'one table' }
  assert.deepEqual(checkLengths([{ path, text: lines(400) }], allowed), [])
  assert.match(checkLengths([{ path, text: lines(401) }], allowed).join(), /401 lines, 400 are/)
})

void test('the list of long files holds only files that need it, with a reason', () => {
  const short = checkLengths([{ path, text: lines(300) }], { [path]: 'was long' })
  assert.match(short.join(), /take it off the list/)
  assert.match(checkLengths([], { [path]: 'gone' }).join(), /is gone/)
  assert.match(
    checkLengths([{ path, text: lines(350) }], { [path]: ' ' }).join(),
    /without a reason/,
  )
})

for (const name of [
  'kit/src/utils.ts',
  'kit/src/byte-helpers.ts',
  'kit/src/common/heap.ts',
  'kit/src/types.ts',
  'kit/src/topic-manager.test.ts',
  'kit/src/log-service.ts',
  'kit/src/storage-impl.ts',
  'kit/src/commitLog.ts',
  'kit/src/commit_log.ts',
]) {
  void test(`the name ${name} is refused`, () => {
    assert.equal(checkNames([{ path: name, text: '' }]).length, 1)
  })
}

for (const name of [
  'kit/src/commit-log.test.ts',
  'vite.config.ts',
  '.ci/run.mjs',
  'e2e/src/u64.ts',
]) {
  void test(`the name ${name} is accepted`, () => {
    assert.deepEqual(checkNames([{ path: name, text: '' }]), [])
  })
}

const glossary = [
  '| term | meaning | not |',
  '|---|---|:---|',
  '| **partition** | unit of order | `shard`, logic queue |',
  '| **member** | one consumer | client (as member) |',
  '',
  '| word | mark |',
  '|---|---|',
  '| a | heap |',
].join('\n')

void test('the words a glossary refuses are read from its last column', () => {
  assert.deepEqual([...refusedWords(glossary).keys()], ['shard', 'logic-queue'])
})

void test('a file may not be named by a word the glossary refuses', () => {
  const named = (/** @type {string} */ file) =>
    checkGlossaryWords([{ path: file, text: '' }], glossary)
  assert.match(named('kit/src/shard-map.ts').join(), /the glossary says partition, not "shard"/)
  assert.match(named('kit/src/logic-queue.ts').join(), /says partition/)
  assert.deepEqual(named('client/src/heap.ts'), [])
  assert.deepEqual(named('kit/src/sharding.ts'), [])
})

void test('a glossary without its table is reported, not passed over', () => {
  assert.match(checkGlossaryWords([], '# Glossary').join(), /no table/)
})

for (const text of [
  `cd ${'/wo' + 'rk'}/main`,
  `"${'/ro' + 'ot'}/x"`,
  `see ${'/ho' + 'me'}/someone`,
  `../${'sha' + 'red'}/DESIGN.md`,
  `https://registry${'.'}npmjs.org/ws`,
  `https://a.${'arti' + 'factory'}.example/`,
  `a\n${'regi' + 'stry'}=https://example.test/`,
]) {
  void test(`a tracked file may not say ${JSON.stringify(text)}`, () => {
    assert.equal(checkMachineTraces([{ path, text }]).length >= 1, true)
  })
}

void test('ordinary paths and words name no machine', () => {
  const text =
    './network/home/page.ts, coordinator/src/registry/embedded.ts, shared commit log, src/root/'
  assert.deepEqual(checkMachineTraces([{ path, text }]), [])
})
