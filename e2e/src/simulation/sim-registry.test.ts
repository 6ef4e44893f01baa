import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RegistrySession } from '@popmq/coordinator'
import { Scheduler, SeededRandom } from '@popmq/kit/testing'
import { type Life, pause, wake } from './life.ts'
import { SimRegistry } from './sim-registry.ts'
import { Trace } from './trace.ts'

const value = new Uint8Array(1)

/** A registry, and one process with a session. */
class Reached {
  readonly scheduler = new Scheduler()
  readonly registry: SimRegistry
  readonly life: Life = { isOver: false }
  readonly lostMs: number[] = []

  constructor() {
    const clock = this.scheduler
    const trace = new Trace(() => clock.monotonic())
    this.registry = new SimRegistry({ clock, random: new SeededRandom(1), trace })
  }

  /** What becomes of `task` within ten seconds. */
  async during<T>(task: Promise<T>): Promise<T> {
    const [result] = await Promise.all([task, this.scheduler.run(10_000)])
    return result
  }

  open(node = 'c1', life = this.life): Promise<RegistrySession> {
    const lost = (): void => void this.lostMs.push(this.scheduler.monotonic())
    return this.during(this.registry.reachedFrom(node, life).openSession(lost))
  }
}

const create = (path: string) => [{ kind: 'create' as const, path, value, ephemeral: true }]

void test('a commit is answered, and read by another session', async () => {
  const reached = new Reached()
  const session = await reached.open()
  assert.deepEqual(await reached.during(session.commit(create('/a'))), { kind: 'applied' })
  const other = await reached.open('c2')
  assert.equal((await reached.during(other.read('/a')))?.version, 1)
})

void test('a commit without an answer is done, one that gets lost is not, a late one is done in its order', async () => {
  const reached = new Reached()
  const session = await reached.open()
  const { weather } = reached.registry
  reached.registry.worsen({ unansweredShare: 1 })
  assert.equal((await reached.during(session.commit(create('/a')))).kind, 'unknown')
  Object.assign(weather, { unansweredShare: 0, droppedShare: 1 })
  assert.equal((await reached.during(session.commit(create('/b')))).kind, 'unknown')
  Object.assign(weather, { droppedShare: 0, lateShare: 1 })
  const late = session.commit(create('/c'))
  weather.lateShare = 0
  const next = session.commit(create('/c'))
  const outcomes = await reached.during(Promise.all([late, next]))
  assert.deepEqual(
    outcomes.map(({ kind }) => kind),
    ['unknown', 'rejected'],
  )
  assert.deepEqual(await reached.during(session.children('/')), ['a', 'c'])
})

void test('a session that expires takes its nodes with it, and its process hears of it late', async () => {
  const reached = new Reached()
  const session = await reached.open()
  await reached.during(session.commit(create('/a')))
  const nowMs = reached.scheduler.monotonic()
  reached.registry.expire('c1', 700)
  const other = await reached.open('c2')
  assert.equal(await reached.during(other.read('/a')), undefined)
  assert.deepEqual(reached.lostMs, [nowMs + 700])
})

void test('a process that is cut off gives its session up before the registry ends it', async () => {
  const reached = new Reached()
  const session = await reached.open()
  await reached.during(session.commit(create('/a')))
  const other = await reached.open('c2')
  reached.registry.cut('c1')
  await reached.scheduler.run(2_500)
  assert.equal(reached.lostMs.length, 1)
  assert.notEqual(await reached.during(other.read('/a')), undefined)
  await reached.scheduler.run(1_000)
  assert.equal(await reached.during(other.read('/a')), undefined)
})

void test('a process that was paused for long hears when it wakes that its session is over', async () => {
  const reached = new Reached()
  await reached.open()
  pause(reached.life)
  reached.registry.processPaused('c1')
  await reached.scheduler.run(5_000)
  assert.deepEqual(reached.lostMs, [])
  wake(reached.scheduler, reached.life)
  await reached.scheduler.run(1)
  assert.equal(reached.lostMs.length, 1)
})
