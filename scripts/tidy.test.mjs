// @ts-check
/** The repository keeps its own rules. Needs no build and nothing installed. Each rule is proved in tidy/*.test.mjs. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { checkCode } from './tidy/code.mjs'
import {
  checkBundles,
  checkClientDependencies,
  checkLockfile,
  checkRuntimeDependencies,
} from './tidy/dependencies.mjs'
import {
  checkGlossaryWords,
  checkLengths,
  checkMachineTraces,
  checkNames,
  longFiles,
} from './tidy/files.mjs'
import { checkImports, layers } from './tidy/layers.mjs'
import { readJson, readRepository, readWorkspaces, sourcesOf } from './tidy/repository.mjs'

const root = path.resolve(import.meta.dirname, '..')
const files = readRepository(root)
const sources = sourcesOf(files)
const { rootManifest, workspaces } = readWorkspaces(root)

/** @param {string[]} problems */
function none(problems) {
  assert.equal(problems.length, 0, `\n${problems.join('\n')}\n`)
}

void test('the repository is read', () => {
  assert.ok(sources.length > 20, `only ${sources.length} source files were found`)
})

void test('each folder imports only what its layer may know', () => {
  none(sources.flatMap((file) => checkImports(file, { layers, workspaces, rootManifest })))
})

void test('each workspace has a place in the layer table', () => {
  none(
    workspaces
      .filter(({ folder }) => layers[folder] === undefined)
      .map(({ folder }) => `${folder} is a workspace without an entry in scripts/tidy/layers.mjs.`),
  )
})

void test('source code keeps to the rules of docs/STYLE.md', () => {
  none(sources.flatMap((file) => checkCode(file)))
})

void test('no document holds a leftover word', () => {
  const documents = files.filter((file) => /\.(?:md|json|yml|yaml|css|html)$/.test(file.path))
  none(
    documents.flatMap((file) => checkCode(file)).filter((line) => line.includes('leftover word')),
  )
})

void test('source files are short, and long ones have a reason', () => {
  none(checkLengths(sources, longFiles))
})

void test('files are named by a noun, in kebab-case', () => {
  none(checkNames(sources))
})

void test('files are named in the words of the glossary', () => {
  const glossary = files.find((file) => file.path === 'docs/GLOSSARY.md')
  assert.ok(glossary, 'docs/GLOSSARY.md is missing.')
  none(checkGlossaryWords(sources, glossary.text))
})

void test('no file names a machine, a registry or a place outside the repository', () => {
  none(checkMachineTraces(files))
})

void test('few packages are needed at run time, and the client needs two', () => {
  none([...checkRuntimeDependencies(workspaces), ...checkClientDependencies(workspaces)])
})

void test('a packed package carries or lists all it needs', () => {
  none(checkBundles(workspaces))
})

void test('the lockfile names no host and needs no install script', () => {
  none(checkLockfile(readJson(path.join(root, 'package-lock.json'))))
})

void test('the popmq command can be run from a fresh clone', () => {
  const bin = path.join(root, 'cli/bin/popmq.js')
  assert.ok(existsSync(bin), 'cli/bin/popmq.js is missing.')
  const statements = readFileSync(bin, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('//'))
  assert.deepEqual(
    statements,
    [
      '#!/usr/bin/env node',
      "process.env.UV_THREADPOOL_SIZE ??= '16'",
      "require('node:v8').setFlagsFromString('--heap-growing-percent=300')",
      "void import('../dist/main.js')",
    ],
    'cli/bin/popmq.js sets the thread pool and the heap and imports ../dist/main.js, nothing else.',
  )
  assert.equal((statSync(bin).mode & 0o777).toString(8), '755', 'chmod 755 cli/bin/popmq.js')
  assert.equal((statSync(path.join(root, '.ci/run')).mode & 0o777).toString(8), '755')
})
