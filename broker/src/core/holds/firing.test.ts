import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deferred } from '@popmq/kit'
import { MemoryStorage } from '@popmq/kit/testing'
import {
  decodeSource,
  firstHeldNumber,
  isMqError,
  readSections,
  RecordView,
  recordKinds,
} from '@popmq/protocol'
import { visitRecords } from '../log/log-scan.ts'
import { FiringWorld } from './testing/firing-world.ts'

async function started(storage = new MemoryStorage()): Promise<FiringWorld> {
  const world = await FiringWorld.open(storage)
  world.firing.start()
  return world
}

const valuesOf = async (world: FiringWorld): Promise<string[]> =>
  (await world.visible()).map(({ value }) => value)

void test('a delayed message becomes visible when it is due, once, and never earlier', async () => {
  const world = await started()
  const sentAt = world.clock.now()
  await world.sent([300, 100, 200])
  await world.clock.run(99)
  assert.deepEqual(await valuesOf(world), [])
  await world.clock.run(1)
  assert.deepEqual(await valuesOf(world), ['1 after 100'])
  await world.clock.run(10_000)
  const visible = await world.visible()
  assert.deepEqual(
    visible.map(({ value, appendedAt }) => [value, appendedAt - sentAt]),
    [
      ['1 after 100', 100],
      ['2 after 200', 200],
      ['0 after 300', 300],
    ],
  )
  assert.equal(world.delays.size, 0)
})

void test('what becomes visible is all that its producer wrote, with the place that it had', async () => {
  const world = await started()
  const sections = { tag: 't', key: 'k', headers: { a: 'b' }, dedupId: 'd' }
  const sentAt = world.clock.now()
  world.send([50], () => sections)
  await world.clock.run(50)
  const record = new RecordView()
  visitRecords(world.log.tail.slices(world.log.tail.start, world.log.end), (found) =>
    record.move(found.bytes, found.start),
  )
  assert.deepEqual([record.kind, record.offset, record.attempt], [recordKinds.message, 0, 0])
  const { source, ...kept } = readSections(record)
  assert.deepEqual(kept, sections)
  const { cause, settles, offset, firstAppendedAt, at } = decodeSource(source ?? new Uint8Array(0))
  assert.deepEqual(
    { cause, settles, offset, firstAppendedAt, at },
    {
      cause: 'due',
      settles: firstHeldNumber,
      offset: firstHeldNumber,
      firstAppendedAt: sentAt,
      at: sentAt + 50,
    },
  )
  assert.equal(world.nextOffsets.next(0 as never), firstHeldNumber + 1)
})

void test('many that are due at once are fired in batches, oldest due first', async () => {
  const world = await started()
  const delaysMs = Array.from({ length: 2_500 }, (_, index) => 1_000 + ((index * 7) % 2_500))
  for (let at = 0; at < delaysMs.length; at += 50) await world.sent(delaysMs.slice(at, at + 50))
  await world.firing.close()
  const later = await FiringWorld.open(world.storage, world.clock)
  await later.clock.run(60_000)
  later.firing.start()
  const synced = later.log.syncs
  await later.clock.run(1)
  const due = (await later.visible()).map(({ value }) => Number(value.split(' ').at(-1)))
  assert.equal(due.length, 2_500)
  assert.deepEqual(
    due,
    due.toSorted((a, b) => a - b),
  )
  assert.ok(later.log.syncs - synced <= 6, `${later.log.syncs - synced} syncs`)
})

void test('a disk that is full delays messages and loses none, and doubles none', async () => {
  const storage = new MemoryStorage()
  const world = await started(storage)
  await world.sent([100, 100, 200])
  storage.setCapacity(world.log.end + 10)
  await world.clock.run(5_000)
  assert.equal(world.log.isStalled, true)
  storage.setCapacity(2 ** 40)
  await world.clock.run(5_000)
  assert.deepEqual(await valuesOf(world), ['0 after 100', '1 after 100', '2 after 200'])
  assert.deepEqual(world.failures, [])
})

void test('what cannot be read is tried again each second and holds up no other', async () => {
  const world = await started()
  await world.sent([100, 100])
  world.isUnreadable = (position) => position === 0
  await world.clock.run(2_500)
  assert.deepEqual(await valuesOf(world), ['1 after 100'])
  assert.deepEqual(world.unfit, [0, 0, 0])
  world.isUnreadable = () => false
  await world.clock.run(1_000)
  assert.deepEqual(await valuesOf(world), ['1 after 100', '0 after 100'])
})

void test('damage does not get a checksum of its own', async () => {
  const world = await started()
  const [number] = await world.sent([100])
  const read = world.read.bind(world)
  world.read = async (position, bytes) => {
    const record = await read(position, bytes)
    record.bytes[record.end - 1] = 0
    return record
  }
  await world.clock.run(500)
  assert.deepEqual([await valuesOf(world), world.unfit], [[], [0]])
  assert.ok(world.delays.get(number ?? 0))
})

void test('the messages of a topic that is gone are left alone', async () => {
  const world = await started()
  await world.sent([100])
  world.topics.update([])
  await world.clock.run(5_000)
  assert.deepEqual(await valuesOf(world), [])
  assert.deepEqual(world.unfit, [])
})

void test('a wall clock that is set forward or back brings nothing forward by more than its slew', async () => {
  const world = await started()
  await world.sent([60_000])
  await world.clock.run(1_000)
  world.clock.setWall(world.clock.now() + 3_600_000)
  // 59 s are to go, at twice the pace from when the jump is seen: 10 s later at most.
  await world.clock.run(24_000)
  assert.deepEqual(await valuesOf(world), [])
  await world.clock.run(16_000)
  assert.deepEqual(await valuesOf(world), ['0 after 60000'])
  world.clock.setWall(world.clock.now() - 7_200_000)
  await world.sent([5_000])
  await world.clock.run(4_999)
  assert.equal((await valuesOf(world)).length, 1)
})

void test('after close nothing is fired, and closing waits for no disk that will not answer', async () => {
  const storage = new MemoryStorage()
  const world = await started(storage)
  await world.sent([100, 5_000])
  storage.setCapacity(world.log.end + 10)
  await world.clock.run(1_000)
  await world.firing.close()
  storage.setCapacity(2 ** 40)
  await world.clock.run(60_000)
  assert.deepEqual(await valuesOf(world), ['0 after 100'])
})

void test('a log that takes nothing is asked once a second', async () => {
  const world = await started()
  await world.sent([100])
  await world.log.close()
  let reads = 0
  const read = world.read.bind(world)
  world.read = (position, bytes) => {
    reads += 1
    return read(position, bytes)
  }
  await world.clock.run(5_050)
  assert.equal(reads, 5)
  assert.equal(world.delays.size, 1)
})

void test('when the log takes nothing, a change is refused and nothing has happened', async () => {
  const world = await started()
  const [number = 0] = await world.sent([1_000])
  await world.log.close()
  await assert.rejects(world.firing.cancel(number), (error: unknown) =>
    isMqError(error, 'shutting_down'),
  )
  assert.ok(world.delays.get(number))
})

void test('a message whose copy waits to be read can still be cancelled, and then is not fired', async () => {
  const world = await started()
  const read = deferred()
  world.reading = read.promise
  const [number = 0] = await world.sent([100, 100])
  await world.clock.run(100)
  const cancelled = world.firing.cancel(number)
  read.resolve()
  assert.equal(await cancelled, 'done')
  await world.clock.run(10_000)
  assert.deepEqual(await valuesOf(world), ['1 after 100'])
  assert.equal(await world.firing.cancel(number), 'unknown')
})

void test('a message that was moved while its copy waited to be read is fired at its new time', async () => {
  const world = await started()
  const read = deferred()
  world.reading = read.promise
  const [number = 0] = await world.sent([100])
  await world.clock.run(100)
  assert.equal(await world.firing.move(number, world.clock.now() + 300), 'done')
  read.resolve()
  await world.clock.run(299)
  assert.deepEqual(await valuesOf(world), [])
  await world.clock.run(1)
  assert.deepEqual(await valuesOf(world), ['0 after 100'])
})

void test('what is on its way to the disk is not called delivered before it is there', async () => {
  const storage = new MemoryStorage()
  const world = await started(storage)
  const [number = 0] = await world.sent([100])
  storage.setCapacity(world.log.end + 10)
  await world.clock.run(500)
  assert.equal(world.log.isStalled, true)
  await assert.rejects(world.firing.cancel(number), (error: unknown) =>
    isMqError(error, 'outcome_unknown'),
  )
  storage.setCapacity(2 ** 40)
  await world.clock.run(1_000)
  assert.equal(await world.firing.cancel(number), 'delivered')
})
