/** Members of a group that come and go each second, on real processes: what moves, how long it is dark, and what else moves. */
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { lastAct } from '../harness/last-act.ts'
import { Scene } from '../harness/scenario.ts'
import { runStorm } from './storm.ts'
import { quantile, type StormRecord } from './storm-record.ts'

const usage =
  'usage: node e2e/dist/rebalance-storm/main.js [--seconds 60] [--partitions 200] [--members 12] [--seed 1] [--processes] [--zookeeper]'
const options = {
  seconds: { type: 'string', default: '60' },
  partitions: { type: 'string', default: '200' },
  members: { type: 'string', default: '12' },
  seed: { type: 'string', default: '1' },
  processes: { type: 'boolean', default: false },
  zookeeper: { type: 'boolean', default: false },
} as const

/** @returns the exit code */
async function main(args: string[]): Promise<number> {
  const flags = readFlags(args)
  if (flags === undefined) {
    process.stderr.write(`${usage}\n`)
    return 2
  }
  const folder = await mkdtemp(path.join(tmpdir(), 'popmq-storm-'))
  lastAct(() => rmSync(folder, { recursive: true, force: true }))
  const scene = new Scene(folder)
  try {
    const { record, sent } = await runStorm(scene, flags)
    return report(record, sent) ? 0 : 1
  } catch (error) {
    process.stderr.write(`${scene.account().slice(-8_000)}\n`)
    throw error
  } finally {
    await scene.close()
  }
}

function readFlags(args: string[]) {
  try {
    const { values } = parseArgs({ args, options })
    const [seconds = 0, partitions = 0, members = 0, seed = 0] = [
      ...[values.seconds, values.partitions, values.members, values.seed].map(Number),
    ]
    const isGood = [seconds, partitions, members, seed].every(
      (number) => Number.isInteger(number) && number > 0,
    )
    const { processes: isWithProcesses, zookeeper: isOnZookeeper } = values
    if (!isGood || partitions > 1_024) return undefined
    return { seconds, partitions, members, seed, isWithProcesses, isOnZookeeper }
  } catch (error) {
    process.stderr.write(`${String(error)}\n`)
    return undefined
  }
}

/** @returns whether all that must hold did */
function report(record: StormRecord, sent: number): boolean {
  const { rebalances } = record
  const moves = rebalances.map((rebalance) => rebalance.moves.length)
  const dark = rebalances.flatMap((one) => one.moves.flatMap(({ darkMs }) => darkMs ?? []))
  const changes = rebalances.reduce((sum, { triggers }) => sum + triggers.length, 0)
  const total = moves.reduce((sum, count) => sum + count, 0)
  write(`rebalances                  ${rebalances.length} for ${changes} changes`)
  write(`moves                       ${total}, per rebalance ${moves.join(' ')}`)
  write(`dark time of a move         ${times(dark)}, of ${dark.length} that had an owner before`)
  write(`messages                    ${sent} sent, ${record.receivedCount} read`)
  const mustBeNone = {
    'rebalances not seen': record.unseen,
    'moved, not in the moves': record.movedUntold().length,
    'rebalances with too many': record.excessive().length,
    'messages read twice': record.receivedTwice,
    'messages not read': sent - record.receivedCount,
    'partitions lost': record.lostCount,
  }
  for (const [what, count] of Object.entries(mustBeNone)) write(`${what.padEnd(27)} ${count}`)
  return Object.values(mustBeNone).every((count) => count === 0)
}

function times(ms: readonly number[]): string {
  const at = (share: number): string => `${quantile(ms, share)} ms`
  return `p50 ${at(0.5)}, p99 ${at(0.99)}, longest ${at(1)}`
}

function write(line: string): void {
  process.stdout.write(`${line}\n`)
}

process.exitCode = await main(process.argv.slice(2))
