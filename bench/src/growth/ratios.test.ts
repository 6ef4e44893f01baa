/** The one check that looks at what things cost: it compares within one run, and by processor time. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { whyNoUsage } from '../process-usage.ts'
import { ceilings, measureRatios, type Pairs, type Ratios, wrongRatios } from './ratios.ts'

const popmq = fileURLToPath(new URL('../../../cli/bin/popmq.js', import.meta.url))
const folder = mkdtempSync(path.join(tmpdir(), 'popmq-ratios-'))
test.after(() => rmSync(folder, { recursive: true }))

void test('a message costs a few times what it costs the stripped path, and no more when ten times as many are sent', async (t) => {
  const why = whyNoUsage()
  if (why !== undefined) return t.skip(`Not run on this machine: ${why}`)
  const ratios = await measureRatios({ popmq, data: folder, messages: 40_000, pairs: 5 })
  for (const [what, pairs] of Object.entries(ratios)) t.diagnostic(`${what}: ${text(pairs)}`)
  assert.deepEqual(wrongRatios(ratios), [])
})

void test('a ratio beyond its ceiling is wrong, and so is none; how fast it was is not looked at', () => {
  const of = (ratio: number): Pairs => ({ ratio, pairs: [ratio] })
  const told = (changed: Partial<Ratios>): number => {
    const { server, path: all, tenTimes } = ceilings
    const right = { server: of(server), path: of(all), tenTimes: of(tenTimes), rate: of(0.001) }
    return wrongRatios({ ...right, ...changed }).length
  }
  assert.equal(told({}), 0)
  for (const name of ['server', 'path', 'tenTimes'] as const)
    assert.equal(told({ [name]: of(ceilings[name] + 0.1) }), 1)
  assert.equal(told({ server: of(NaN), tenTimes: of(NaN) }), 2)
})

function text({ ratio, pairs }: Pairs): string {
  return `${ratio} (${pairs.join(', ')})`
}
