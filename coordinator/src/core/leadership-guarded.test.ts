import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Scheduler, SeededRandom } from '@popmq/kit/testing'
import { isMqError, type MqError } from '@popmq/protocol'
import { Leadership } from './leadership.ts'
import type { RegistryOp, RegistrySession } from './registry-port.ts'
import { RegistryTree } from './registry-tree.ts'

type Fault = 'none' | 'unanswered' | 'dropped'

interface Led {
  readonly leader: Leadership
  readonly deposed: MqError[]
  readonly session: RegistrySession
  readonly faults: Fault[]
  readonly scheduler: Scheduler
}

async function lead(tree = new RegistryTree(), seed = 1): Promise<Led> {
  const faults: Fault[] = []
  const deposed: MqError[] = []
  const scheduler = new Scheduler()
  const session: RegistrySession = {
    read: async (path) => tree.read(path),
    children: async (path) => tree.children(path),
    commit: async (ops) => {
      const fault = faults.shift() ?? 'none'
      const outcome = fault === 'dropped' ? undefined : tree.commit(ops, 1)
      return fault === 'none' && outcome !== undefined ? outcome : { kind: 'unknown' }
    },
    watch: () => () => undefined,
    close: () => Promise.resolve(),
  }
  const leader = await Leadership.take({
    session,
    clock: scheduler,
    random: new SeededRandom(seed),
    coordinator: 'test',
    deposed: (reason) => deposed.push(reason),
  })
  return { leader, deposed, session, faults, scheduler }
}

async function during<T>({ scheduler }: Led, promise: Promise<T>): Promise<T> {
  let settled = false
  const settle = (): void => void (settled = true)
  promise.then(settle, settle)
  await scheduler.runUntil(() => settled, scheduler.monotonic() + 60_000)
  return promise
}

const create: RegistryOp = { kind: 'create', path: '/a', value: Uint8Array.of(1) }

void test('a guarded commit is made beside the writes, and does not touch the counters', async () => {
  const led = await lead()
  const before = await led.session.read('/counters')
  assert.deepEqual(await led.leader.guarded([create]), { kind: 'applied' })
  assert.deepEqual(await led.session.read('/counters'), before)
  const again = await led.leader.guarded([create])
  assert.deepEqual(again, { kind: 'rejected', index: 0, reason: 'exists', tried: 1 })
  assert.equal(led.leader.deposed, undefined)
})

void test('without an answer it is made again, and tells that an earlier try may have gone through', async () => {
  const led = await lead()
  led.faults.push('unanswered')
  const outcome = await during(led, led.leader.guarded([create]))
  assert.deepEqual(outcome, { kind: 'rejected', index: 0, reason: 'exists', tried: 2 })
})

void test('a leader that was replaced is deposed by it, and changes nothing', async () => {
  const tree = new RegistryTree()
  const old = await lead(tree)
  await lead(tree, 2)
  await assert.rejects(old.leader.guarded([create]), (error: unknown) =>
    isMqError(error, 'not_coordinator'),
  )
  assert.equal(tree.read('/a'), undefined)
  assert.equal(old.deposed.length, 1)
})

void test('a leader that never hears is deposed, and does not say that nothing was done', async () => {
  const led = await lead()
  led.faults.push(...Array.from({ length: 20 }, (): Fault => 'dropped'))
  await assert.rejects(during(led, led.leader.guarded([create])), (error: unknown) =>
    isMqError(error, 'registry_unavailable'),
  )
  assert.equal(led.deposed.length, 1)
})
