/** `npm run chaos`: real processes under load and faults, and a verdict over everything that was sent and read. */
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { lastAct } from '../harness/last-act.ts'
import { Scene } from '../harness/scenario.ts'
import { runChaos } from './chaos-run.ts'
import { Problems } from './problems.ts'
import { tellTraces } from './trace-scan.ts'
import { judge, printFaults } from './verdict.ts'

const usage = 'usage: npm run chaos -- --minutes N [--seed S] [--brokers N]'
const options = {
  minutes: { type: 'string' },
  seed: { type: 'string', default: '1' },
  brokers: { type: 'string', default: '1' },
} as const

const minuteMs = 60_000
/** Starting, healing, flushing and checking fit in a minute; then everything is killed. */
const graceMs = 55_000
const shownOutput = 8_000

class WrongUsage extends Error {}

function write(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** @returns the exit code */
async function main(args: string[]): Promise<number> {
  const values = readFlags(args)
  const lastsMs = inRange('minutes', Number(values.minutes ?? Number.NaN), [0.1, 1_440]) * minuteMs
  const seed = whole('seed', values.seed, 2 ** 32 - 1)
  const brokers = whole('brokers', values.brokers, 8)
  const folder = await mkdtemp(path.join(tmpdir(), 'popmq-chaos-'))
  lastAct(() => rmSync(folder, { recursive: true, force: true }))
  const scene = new Scene(folder)
  setTimeout(() => {
    write(`void: the run did not end ${graceMs / 1_000} s after its time`)
    write('chaos: 0 passed, 1 failed')
    process.exit(1)
  }, lastsMs + graceMs).unref()
  const problems = new Problems()
  const onUnhandled = (error: unknown): void =>
    problems.tell('process', `the load met ${error instanceof Error ? error.stack : String(error)}`)
  process.on('unhandledRejection', onUnhandled)
  process.on('uncaughtException', onUnhandled)
  write(`chaos: seed ${seed}, brokers ${brokers}, ${lastsMs / minuteMs} minutes`)
  try {
    const campaign = await runChaos(scene, { seed, lastsMs, brokers, problems, write })
    tellTraces(scene.account(), problems)
    printFaults(campaign, write)
    const survived = campaign.survived.length
    const why = campaign.voidBecause ?? (survived === 0 ? 'no fault happened' : undefined)
    const checks = judge(problems, { isVoid: why !== undefined, write })
    const failed = checks.failed + (why === undefined ? 0 : 1)
    if (failed > 0) process.stderr.write(`${scene.account().slice(-shownOutput)}\n`)
    if (why !== undefined) write(`void: ${why}`)
    write(`chaos: ${survived + checks.passed} passed, ${failed} failed`)
    return failed === 0 ? 0 : 1
  } finally {
    await scene.close()
  }
}

function readFlags(args: string[]) {
  try {
    return parseArgs({ args, options }).values
  } catch (error) {
    throw new WrongUsage(error instanceof Error ? error.message : String(error), { cause: error })
  }
}

function whole(name: string, text: string, high: number): number {
  const number = inRange(name, Number(text), [1, high])
  if (Number.isInteger(number)) return number
  throw new WrongUsage(`--${name} is a whole number, got ${text}`)
}

function inRange(name: string, number: number, [low, high]: readonly [number, number]): number {
  if (number >= low && number <= high) return number
  throw new WrongUsage(`--${name} is a number from ${low} to ${high}`)
}

try {
  // What the load leaves open must not keep the process.
  const code = await main(process.argv.slice(2))
  process.stdout.write('', () => process.exit(code))
} catch (error) {
  if (error instanceof WrongUsage) {
    process.stderr.write(`${error.message}\n${usage}\n`)
    process.exit(2)
  }
  write(`void: ${error instanceof Error ? error.stack : String(error)}`)
  write('chaos: 0 passed, 1 failed')
  process.exit(1)
}
