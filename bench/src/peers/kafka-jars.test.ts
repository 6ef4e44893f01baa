import assert from 'node:assert/strict'
import { existsSync, mkdirSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import type { Ended } from './command.ts'
import { installKafka, kafkaVersion } from './kafka-jars.ts'
import { peersFolder } from './peers-folder.ts'

const java17 = { code: 0, said: 'openjdk version "17.0.15" 2025-04-15\n' }
const fine = { code: 0, said: '' }
const absent = { code: 1, said: 'spawn ENOENT' }

interface Told {
  readonly installed: Awaited<ReturnType<typeof installKafka>>
  /** Programs that were run, in turn. */
  readonly ran: readonly string[]
  readonly said: readonly string[]
  readonly kept: readonly string[]
}

/** Installs in an empty folder, with one result for each program that is run. */
async function install(folder: string, results: readonly Ended[]): Promise<Told> {
  const ran: string[] = []
  const said: string[] = []
  const run = (command: string, args: readonly string[]): Promise<Ended> => {
    const result = results[ran.length] ?? absent
    ran.push(command)
    const to = args.find((arg) => arg.startsWith('-DoutputDirectory='))?.split('=')[1]
    if (to !== undefined) mkdirSync(to, { recursive: true })
    return Promise.resolve(result)
  }
  const installed = await installKafka((what) => said.push(what), { folder, run })
  return { installed, ran, said, kept: existsSync(folder) ? await readdir(folder) : [] }
}

async function inFolder(look: (folder: string) => Promise<void>): Promise<void> {
  const parent = await mkdtemp(path.join(tmpdir(), 'popmq-kafka-jars-'))
  try {
    await look(path.join(parent, 'kafka'))
  } finally {
    await rm(parent, { recursive: true })
  }
}

void test('without Java that Kafka runs on, or without Maven, it says what is missing', async () => {
  const cases: [readonly Ended[], string][] = [
    [[absent], 'java is not installed, and Kafka needs 17 or newer'],
    [
      [{ code: 0, said: 'openjdk version "11.0.2"' }],
      `Kafka ${kafkaVersion} needs Java 17 or newer, and java is 11`,
    ],
    [
      [{ code: 0, said: 'java version "1.8.0_212"' }],
      `Kafka ${kafkaVersion} needs Java 17 or newer, and java is 8`,
    ],
    [[java17, absent], 'mvn is not installed, which fetches Kafka'],
  ]
  for (const [results, notRun] of cases)
    await inFolder(async (folder) => {
      const { installed, said, kept } = await install(folder, results)
      assert.deepEqual([installed, said, kept], [{ notRun }, [], []])
    })
})

void test('Kafka is fetched once, and what a failed run left is not taken for it', async () => {
  await inFolder(async (folder) => {
    const failed = {
      code: 1,
      said: '[INFO] resolving\n\u001b[0m[ERROR] no such host\n[ERROR] more on that',
    }
    const first = await install(folder, [java17, fine, failed])
    const notRun = 'Kafka could not be fetched by mvn: [ERROR] no such host'
    assert.deepEqual([first.installed, first.kept], [{ notRun }, ['coming']])

    const second = await install(folder, [java17, fine, fine])
    assert.deepEqual(second.ran, ['java', 'mvn', 'mvn'])
    assert.deepEqual([second.said.length, second.kept], [1, [kafkaVersion]])

    const third = await install(folder, [java17])
    assert.deepEqual(third.installed, { version: kafkaVersion })
    assert.deepEqual([third.ran, third.said], [['java'], []])
  })
})

void test('the version is the one that Maven is told', async () => {
  const pom = await readFile(path.join(peersFolder, 'pom.xml'), 'utf8')
  assert.ok(pom.includes(`<version>${kafkaVersion}</version>`))
})
