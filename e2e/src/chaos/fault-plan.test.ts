import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '@popmq/kit/testing'
import { type FaultPlan, faultKinds, planFaults } from './fault-plan.ts'

function first(count: number, seed: number): FaultPlan[] {
  const plans = planFaults(new SeededRandom(seed), 2)
  return Array.from({ length: count }, () => plans.next().value)
}

void test('the same seed plans the same faults, another seed others', () => {
  assert.deepEqual(first(40, 7), first(40, 7))
  assert.notDeepEqual(first(40, 7), first(40, 8))
})

void test('twelve faults hold every kind, and each is within its bounds', () => {
  const plans = first(12, 3)
  assert.deepEqual(new Set(plans.map(({ kind }) => kind)), new Set(faultKinds))
  for (const { kind, broker, lastsMs, share } of plans) {
    assert.ok(broker >= 1 && broker <= 2)
    assert.ok(share > 0 && share <= 1)
    if (kind === 'pause-broker') assert.ok(lastsMs >= 500 && lastsMs <= 8_000)
  }
})
