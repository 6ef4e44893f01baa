/** Kafka's jars: fetched by Maven once, and kept beside the peers' clients. */
import { existsSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { run } from './command.ts'
import type { Installed, Say } from './installed.ts'
import { peersFolder } from './peers-folder.ts'

/** As in bench/peers/pom.xml. */
export const kafkaVersion = '4.1.1'
const leastJava = 17

/** Holds a folder that is named by the version. */
export const kafkaFolder = path.join(peersFolder, '.tmp/kafka')
/** What Java finds Kafka in. */
export const kafkaJars = path.join(kafkaFolder, kafkaVersion)

export interface KafkaSource {
  /** Where the folder with the jars is, or comes to be. */
  readonly folder: string
  readonly run: typeof run
}

/** Java and Maven are used where they are there, and not installed. */
export async function installKafka(
  say: Say,
  source: KafkaSource = { folder: kafkaFolder, run },
): Promise<Installed> {
  const noJava = await withoutJava(source)
  if (noJava !== undefined) return { notRun: noJava }
  const jars = path.join(source.folder, kafkaVersion)
  if (existsSync(jars)) return { version: kafkaVersion }
  if ((await source.run('mvn', ['--version'])).code !== 0)
    return { notRun: 'mvn is not installed, which fetches Kafka' }
  say(`mvn dependency:copy-dependencies of Kafka ${kafkaVersion} …`)
  // Older versions go, and what an interrupted run left.
  await rm(source.folder, { recursive: true, force: true })
  const coming = path.join(source.folder, 'coming')
  const goals = ['dependency:copy-dependencies', '-DincludeScope=runtime']
  const args = ['-q', '-B', '--strict-checksums', ...goals, `-DoutputDirectory=${coming}`]
  const { code, said } = await source.run('mvn', args, peersFolder)
  if (code !== 0) return { notRun: `Kafka could not be fetched by mvn: ${firstError(said)}` }
  await rename(coming, jars)
  return { version: kafkaVersion }
}

async function withoutJava({ run: ask }: KafkaSource): Promise<string | undefined> {
  const { code, said } = await ask('java', ['-version'])
  if (code !== 0) return `java is not installed, and Kafka needs ${leastJava} or newer`
  const major = /version "(?:1\.)?(\d+)/.exec(said)?.[1]
  if (major !== undefined && Number(major) >= leastJava) return undefined
  return `Kafka ${kafkaVersion} needs Java ${leastJava} or newer, and java is ${major ?? 'unknown'}`
}

/** Maven says what went wrong first, and then what one could do. */
function firstError(said: string): string {
  const lines = stripVTControlCharacters(said).trim().split('\n')
  return lines.find((line) => line.startsWith('[ERROR]')) ?? lines[0] ?? ''
}
