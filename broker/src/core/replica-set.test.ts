import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CrashMode, MemoryStorage } from '@popmq/kit/testing'
import { epoch, isMqError, offset, partitionNumber } from '@popmq/protocol'
import fc from 'fast-check'
import { logOptions } from './options.ts'
import { RecoveredSet } from './recovered-set.ts'
import { sampleGroups, samplePorts } from './testing/sample-set.ts'
import { ModelledSet, orders, partitions } from './testing/modelled-set.ts'

const partition = fc.nat(partitions - 1)
const command = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      partition,
      count: fc.integer({ min: 1, max: 12 }),
      bytes: fc.integer({ min: 4, max: 120 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('sync' as const), partition }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('tick' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('tickWhile' as const),
      partition,
      runs: fc.integer({ min: 1, max: 40 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('purge' as const),
      partition,
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('crash' as const),
      mode: fc.constantFrom<CrashMode>('lose', 'keep', 'random', 'torn'),
      seed: fc.nat(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('check' as const) }) },
)
type Command = typeof command extends fc.Arbitrary<infer C> ? C : never

async function carryOut(world: ModelledSet, step: Command): Promise<void> {
  switch (step.do) {
    case 'append':
      return void world.append(step.partition, step.count, step.bytes)
    case 'sync':
      return world.sync(step.partition)
    case 'tick':
      return world.tick()
    case 'tickWhile':
      return world.tickWhile(step)
    case 'purge':
      return world.purge(step.partition, step.share)
    case 'crash':
      return world.crash(step.mode, step.seed)
    case 'restart':
      return world.restart()
    case 'check':
      await world.sync(0)
      return world.check()
    default:
      return step satisfies never
  }
}

void test('a replica set holds what a plain model holds, through crashes, checkpoints, purges and cleaning', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 60 }), async (steps) => {
      const world = new ModelledSet()
      await world.open()
      for (const step of steps) await carryOut(world, step)
      await world.sync(0)
      await world.check()
      await world.crash('lose', 1)
      await world.check()
    }),
    { numRuns: 400 },
  )
})

void test('purge gives the disk back: segments without a live message go, survivors move', async () => {
  const world = new ModelledSet()
  await world.open()
  world.append(1, 3, 100)
  for (let round = 0; round < 40; round += 1) {
    world.append(0, 10, 100)
    await world.sync(0)
    await world.tick()
  }
  const before = await bytesOnDisk(world.storage)
  await world.purge(0, 1)
  for (let round = 0; round < 20; round += 1) await world.tick()
  const after = await bytesOnDisk(world.storage)
  assert.ok(before > 80_000 && after < 12_000, `${before} bytes before, ${after} after`)
  await world.check()
  await world.crash('lose', 1)
  await world.check()
})

void test('a segment that a crash takes back before its first sync leaves no trace in what is counted alive', async () => {
  for (let lead = 0; lead < 40; lead += 1) {
    const world = new ModelledSet()
    await world.open()
    for (let run = 0; run < lead; run += 1) world.append(1, 1, 100)
    world.append(0, 12, 100)
    await world.sync(0)
    await world.appendUntilCheckpoint(0)
    await world.crash('lose', 1)
    for (let run = 0; run < 60; run += 1) world.append(run % 2, 2, 100)
    await world.purge(0, 0.9)
    for (let round = 0; round < 12; round += 1) await world.tick()
    await world.check()
  }
})

void test('long-lived messages at the old end do not keep the dead ones behind them on disk', async () => {
  const world = new ModelledSet()
  await world.open()
  for (let round = 0; round < 12; round += 1) world.append(1, 10, 100)
  for (let round = 0; round < 60; round += 1) {
    world.append(0, 10, 100)
    await world.purge(0, 1)
    await world.tick()
  }
  for (let round = 0; round < 10; round += 1) await world.tick()
  const live = 120 * 196
  const onDisk = await bytesOnDisk(world.storage)
  assert.ok(onDisk < 3 * live, `${onDisk} bytes on disk for ${live} that live`)
  await world.check()
})

async function bytesOnDisk(storage: MemoryStorage): Promise<number> {
  let sum = 0
  for (const folder of ['log', 'index'])
    for (const { bytes } of await storage.list(folder)) sum += bytes
  return sum
}

void test('a reader below the horizon is told the bounds, never moved silently', async () => {
  const world = new ModelledSet()
  await world.open()
  for (let round = 0; round < 5; round += 1) world.append(0, 10, 20)
  await world.purge(0, 0.5)
  const asked = { topicId: orders.id, partition: partitionNumber(0), offset: offset(3) }
  const { results } = await world.live.reader.read([asked], 1_000)
  assert.equal(results[0]?.error, 3101)
  assert.equal(results[0].low, world.model[0]?.low)
  assert.equal(results[0].high, world.model[0]?.values.length)
})

void test('a broker that starts on a full disk serves reads, and writes when there is room', async () => {
  const world = new ModelledSet()
  await world.open()
  await world.sync(0)
  world.storage = world.storage.crash({ mode: 'lose' })
  world.storage.setCapacity(0)
  await world.open()
  await world.check()
  world.storage.setCapacity(1_048_576)
  await world.clock.run(2_000)
  await world.sync(0)
  await world.check()
})

void test('a log of an older epoch is not led again', async () => {
  const world = new ModelledSet()
  await world.open()
  await world.sync(0)
  const recovered = await RecoveredSet.open({
    ...samplePorts,
    storage: world.storage,
    clock: world.clock,
    options: logOptions(),
  })
  const lead = { epoch: epoch(1), setId: 1, topics: [orders], onFailed: () => undefined }
  const grant = { ...sampleGroups, ...lead }
  await assert.rejects(recovered.lead(grant), (error: unknown) =>
    isMqError(error, 'registry_behind'),
  )
})
