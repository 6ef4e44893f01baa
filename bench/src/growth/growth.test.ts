import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { whyNoUsage } from '../process-usage.ts'
import { dimensions, type GrowthRun, growthOf, runGrowthBench } from './run-growth-bench.ts'

const popmq = fileURLToPath(new URL('../../../cli/bin/popmq.js', import.meta.url))
const { signal } = new AbortController()
const folder = mkdtempSync(path.join(tmpdir(), 'popmq-growth-'))
test.after(() => rmSync(folder, { recursive: true }))

void test('every dimension is grown by ten, the others stay, and each run is told', async (t) => {
  const why = whyNoUsage()
  if (why !== undefined) return t.skip(`Not run on this machine: ${why}`)
  const told: string[] = []
  const report = await runGrowthBench({
    ...{ popmq, signal, data: folder, sizeBytes: 20, batch: 50, messages: 200, runs: 1 },
    onRun: ({ dimension, times, cpuMs }, isWarmUp) => {
      assert.ok(cpuMs > 0)
      told.push(`${isWarmUp ? 'warm-up' : 'run'} ${dimension} ${times}`)
      return Promise.resolve()
    },
  })
  assert.deepEqual(told, [
    ...dimensions.flatMap((each) => [`warm-up ${each} 1`, `warm-up ${each} 10`]),
    ...dimensions.flatMap((each) => [`run ${each} 10`, `run ${each} 1`]),
  ])
  assert.deepEqual(
    report.growths.map(({ dimension, from, to, pairs }) => [dimension, from, to, pairs.length]),
    [
      ['messages', 200, 2_000, 1],
      ['partitions', 8, 80, 1],
      ['groups', 1, 10, 1],
      ['connections', 10, 100, 1],
    ],
  )
  assert.deepEqual(readdirSync(folder), [])
})

void test('a growth is the median of its pairs', () => {
  const run = (times: 1 | 10, number: number, cpuMs: number): GrowthRun => {
    return { dimension: 'groups', times, run: number, cpuMs, seconds: 1 }
  }
  const other: GrowthRun = { ...run(10, 1, 1e9), dimension: 'messages' }
  const runs = [run(10, 1, 80), run(1, 1, 10), run(1, 2, 20), run(10, 2, 100), other]
  assert.deepEqual(growthOf('groups', 1, [...runs, run(1, 3, 10), run(10, 3, 90)]), {
    ...{ dimension: 'groups', from: 1, to: 10, fromCpuMs: 10, toCpuMs: 90 },
    ...{ pairs: [8, 5, 9], ratio: 8 },
  })
})
