import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from '@popmq/kit/checksum'
import { MemoryStorage, randomLatency, Scheduler, SeededRandom } from '@popmq/kit/testing'
import {
  copyRecord,
  firstHeldNumber,
  heldKey,
  isMqError,
  type MessageSections,
  MqError,
  partitionKey,
  partitionNumber,
  recordFixedBytes,
  sourceBytes,
  topicId,
} from '@popmq/protocol'
import type { PlacedRun } from './appender.ts'
import { encodeDueCopy } from './holds/due-copy.ts'
import { FiringWorld } from './holds/testing/firing-world.ts'
import { sampleRun } from './testing/sample-run.ts'

const key = partitionKey(topicId(1), partitionNumber(0))

function placed(outcome: PlacedRun | MqError): PlacedRun {
  assert.ok(!(outcome instanceof MqError), JSON.stringify(outcome))
  return outcome
}

async function crashed(world: FiringWorld): Promise<FiringWorld> {
  assert.ok(world.storage instanceof MemoryStorage)
  const left = world.storage.crash({ mode: 'lose', random: new SeededRandom(1) })
  return FiringWorld.open(left, world.clock)
}

void test('delayed messages get held numbers and leave the offsets of their partition alone', async () => {
  const world = await FiringWorld.open()
  assert.equal(placed(world.send([10, 20])).baseOffset, firstHeldNumber)
  const { baseOffset, end } = placed(world.send([30]))
  assert.equal(baseOffset, firstHeldNumber + 2)
  assert.equal(world.nextOffsets.next(key), 0)
  await world.log.whenSynced(end)
  const again = await crashed(world)
  assert.equal(again.nextOffsets.next(heldKey), firstHeldNumber + 3)
  assert.equal(again.delays.size, 3)
})

void test('a delayed run sent twice is held once, also across a restart, and keeps its numbers', async () => {
  const world = await FiringWorld.open()
  const send = (on: FiringWorld): PlacedRun =>
    placed(on.send([10, 20], () => ({}), { producer: 7, base: 0 }))
  const first = send(world)
  assert.deepEqual(send(world), first)
  await world.log.whenSynced(first.end)
  const again = await crashed(world)
  assert.deepEqual(send(again), first)
  assert.equal(again.delays.size, 2)
  const gap = again.send([1], () => ({}), { producer: 7, base: 9 })
  assert.ok(isMqError(gap, 'sequence_gap'))
})

void test('a dedup id covers a delayed message from when it was sent, not from when it became visible', async () => {
  const world = await FiringWorld.open()
  world.firing.start()
  const send = (on: FiringWorld): PlacedRun =>
    placed(on.send([100_000, 10], (index) => ({ dedupId: `d${index}` })))
  const first = send(world)
  const second = send(world)
  assert.deepEqual(
    second.deduplicated.map(({ index, offset: at }) => [index, at]),
    [
      [0, firstHeldNumber],
      [1, firstHeldNumber + 1],
    ],
  )
  await world.log.whenSynced(first.end)
  await world.clock.run(100_000)
  assert.equal((await world.visible()).length, 2)
  const again = await crashed(world)
  assert.equal(send(again).deduplicated.length, 2)
  // The window ends two minutes after the sending, although a copy was appended later.
  await world.clock.run(20_000)
  assert.equal(send(again).deduplicated.length, 0)
})

void test('a copy is a run of its own: a retry takes the next held number, a message the next offset', async () => {
  const world = await FiringWorld.open()
  const [number = 0] = await world.sent([1_000])
  const { position = world.log.end, bytes = 0 } = world.delays.get(number) ?? {}
  const record = await world.read(position, bytes)
  const copy = encodeDueCopy(record, { at: 1, crc32 })
  const head = { topicId: topicId(1), partition: partitionNumber(0), attempt: 1 }
  const source = new Uint8Array(56)
  const retry = copyRecord(record, { ...head, kind: 'retry', deliverAt: 5, source }, crc32)
  const { log, appender, nextOffsets } = world
  const before = log.end
  assert.deepEqual(appender.appendCopy(retry, heldKey), {
    offset: firstHeldNumber + 1,
    end: before + retry.length,
  })
  const { offset: at, end } = appender.appendCopy(copy, key)
  assert.deepEqual([at, end], [0, log.end])
  await log.whenSynced(end)
  const again = await crashed(world)
  assert.equal(again.nextOffsets.next(key), 1)
  assert.equal(again.nextOffsets.next(heldKey), firstHeldNumber + 2)
  const large = new Uint8Array(log.mostRunBytes + 1)
  assert.throws(
    () => appender.appendCopy(large, key),
    (error: unknown) => isMqError(error, 'message_too_large'),
  )
  assert.equal(nextOffsets.next(key), 1)
})

void test('a delayed message that would not fit in a segment once it is due is refused', async () => {
  const world = await FiringWorld.open()
  world.firing.start()
  const send = (bytes: number): PlacedRun | MqError => {
    const sections = (): MessageSections => ({ delayMs: 10 })
    const run = { key, topicId: topicId(1), partition: partitionNumber(0), count: 1 }
    const values = [new Uint8Array(bytes)]
    const records = sampleRun({ kind: 'delayed', values, sections })
    return world.appender.append({ ...run, bytes: records, maxMessageBytes: 10_000 })
  }
  const most = world.log.mostRunBytes - recordFixedBytes - 8 - 2 - sourceBytes
  assert.ok(isMqError(send(most + 1), 'message_too_large'))
  placed(send(most))
  await world.clock.run(1_000)
  assert.equal((await world.visible()).length, 1)
})

void test('a refused copy takes no offset', async () => {
  const world = await FiringWorld.open()
  const [number = 0] = await world.sent([1_000])
  const { position = world.log.end, bytes = 0 } = world.delays.get(number) ?? {}
  const copy = encodeDueCopy(await world.read(position, bytes), { at: 1, crc32 })
  await world.log.close()
  assert.throws(
    () => world.appender.appendCopy(copy, key),
    (error: unknown) => isMqError(error, 'shutting_down'),
  )
  assert.equal(world.nextOffsets.next(key), 0)
})

void test('a patient control record waits for the next sync, and closing leaves none behind', async () => {
  const world = await FiringWorld.open()
  const { log, appender } = world
  const body = new Uint8Array(8)
  const first = appender.appendControl({ kind: 'leased', body }, { isPatient: true })
  await world.clock.run(1_000)
  assert.deepEqual([log.synced, log.syncs], [0, 0])
  await world.sent([10])
  assert.deepEqual([log.synced, log.syncs], [log.end, 1])
  const second = appender.appendControl({ kind: 'leased', body }, { isPatient: true })
  await world.clock.run(1_000)
  assert.equal(log.synced, second - first)
  await log.close()
  assert.equal(log.synced, second)
})

void test('who waits for a patient record, or says that it must go, has it synced', async () => {
  const world = await FiringWorld.open()
  const { log, appender } = world
  const append = (): void =>
    void appender.appendControl({ kind: 'leased', body: new Uint8Array(8) }, { isPatient: true })
  append()
  await log.whenSynced(log.end)
  append()
  log.flushPatient()
  await world.clock.run(1)
  assert.deepEqual([log.synced, log.syncs], [log.end, 2])
  log.flushPatient()
  await world.clock.run(1)
  assert.equal(log.syncs, 2)
})

void test('a patient record that comes while a flush runs does not prolong it', async () => {
  const clock = new Scheduler()
  const schedule = randomLatency(clock, new SeededRandom(1), { lowMs: 10, highMs: 10 })
  const opening = FiringWorld.open(new MemoryStorage({ schedule }), clock)
  await clock.run(1_000)
  const { log, appender, failures } = await opening
  const body = new Uint8Array(8)
  const end = appender.appendControl({ kind: 'epoch_start', body })
  await clock.run(15)
  appender.appendControl({ kind: 'leased', body }, { isPatient: true })
  assert.equal(log.synced, 0)
  await clock.run(1_000)
  assert.deepEqual([log.synced, log.syncs, failures], [end, 1, []])
})

void test('patient records alone do not fill what may be unsynced', async () => {
  const world = await FiringWorld.open()
  const body = new Uint8Array(8_000)
  for (let index = 0; index < 70; index += 1)
    world.appender.appendControl({ kind: 'leased', body }, { isPatient: true })
  await world.clock.run(1)
  assert.ok(world.log.synced > 0)
})
