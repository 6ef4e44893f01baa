/** A disk without room: produce is refused by name, everything else goes on, and room made is room used. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, openSync, statfsSync, writeSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { Cluster } from '../harness/cluster.ts'
import { DiskImage, whyNoImages } from '../harness/disk-image.ts'
import { History } from '../harness/history.ts'
import { skewedEvents } from '../harness/key-skew.ts'
import { consumeAll, readAll, sendInto, sightings, toMessage } from '../harness/reading.ts'
import { type Scene, scenario } from '../harness/scenario.ts'
import { until } from '../harness/waiting.ts'

const mebibyte = 1_048_576
/** A segment is 1/32 of the disk here, and two of them are kept back: below 32 MiB produce is refused. */
const diskBytes = 512 * mebibyte
const littleRoom = 16 * mebibyte

async function clusterOnDisk(scene: Scene): Promise<{ cluster: Cluster; disk: DiskImage }> {
  const disk = scene.keep(await DiskImage.create(scene.path('disk.image'), diskBytes))
  const cluster = await Cluster.start(scene, { brokerData: () => path.join(disk.folder, 'data') })
  return { cluster, disk }
}

async function skipsWithoutImages(scene: Scene, t: TestContext): Promise<boolean> {
  const problem = await whyNoImages(scene.folder)
  if (problem === undefined) return false
  t.skip(`Not run on this machine: ${problem}`)
  return true
}

function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize
}

/** Takes room with a file until `bytes` are left. */
function leaveRoom(folder: string, bytes: number): void {
  execFileSync('fallocate', ['-l', String(freeBytes(folder) - bytes), path.join(folder, 'filler')])
}

/** Takes all the room there is. */
function leaveNothing(folder: string): void {
  leaveRoom(folder, mebibyte)
  const fd = openSync(path.join(folder, 'more filler'), 'w')
  const block = new Uint8Array(65_536)
  try {
    for (;;) writeSync(fd, block)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
  } finally {
    closeSync(fd)
  }
}

async function makeRoom(folder: string): Promise<void> {
  await rm(path.join(folder, 'filler'))
  await rm(path.join(folder, 'more filler'), { force: true })
}

/** @returns how a single produce ended that was tried for two seconds: '' when it went through */
async function tryProduce(cluster: Cluster, topic: string): Promise<string> {
  const { code, stderr } = await cluster.popmq(
    'produce',
    topic,
    '{"id":"try"}',
    '--deliver-within',
    '2s',
  )
  return code === 0 ? '' : stderr
}

/** Until a produce ends with disk_full; its last try may end without an answer. */
function untilRefused(cluster: Cluster, topic: string): Promise<void> {
  const refusal = /^error disk_full: .+ \(free disk space or lower retention; reads go on\)$/m
  return until(async () => refusal.test(await tryProduce(cluster, topic)), {
    what: 'produce to be refused with disk_full',
  })
}

scenario(
  'on a disk that runs full produce is refused with disk_full, consume goes on, and room made lets produce go on',
  async (scene, t) => {
    if (await skipsWithoutImages(scene, t)) return
    const { cluster, disk } = await clusterOnDisk(scene)
    await cluster.done('topic', 'create', 'orders', '--partitions', '1')
    await cluster.done('produce', 'orders', '{"id":"before"}')
    leaveRoom(disk.folder, littleRoom)
    await untilRefused(cluster, 'orders')

    const ids = (await consumeAll(cluster, 'orders')).map(
      ({ value }) => (value as { id: string }).id,
    )
    assert.equal(ids[0], 'before')
    await cluster.done('topic', 'create', 'another', '--partitions', '1')
    await makeRoom(disk.folder)
    await until(async () => (await tryProduce(cluster, 'orders')) === '', {
      what: 'produce to go on',
    })
  },
)

scenario('on a full disk a purge gives back the room that lets produce go on', async (scene, t) => {
  if (await skipsWithoutImages(scene, t)) return
  const { cluster, disk } = await clusterOnDisk(scene)
  await cluster.done('topic', 'create', 'bulk', '--partitions', '2')
  await cluster.done('topic', 'create', 'orders', '--partitions', '1')
  await cluster.done('produce', 'orders', '{"id":"kept"}')
  const client = await cluster.connect()
  const producer = client.producer()
  const value = new Uint8Array(mebibyte)
  await producer.sendBatch(Array.from({ length: 96 }, () => ({ topic: 'bulk', value })))
  leaveRoom(disk.folder, littleRoom)
  await untilRefused(cluster, 'orders')

  await cluster.done('topic', 'purge', 'bulk', '--yes')
  await until(async () => (await tryProduce(cluster, 'orders')) === '', {
    what: 'produce to go on',
    withinMs: 60_000,
  })
  assert.ok(freeBytes(disk.folder) > 4 * littleRoom)
  const ids = (await consumeAll(cluster, 'orders')).map(
    ({ value: kept }) => (kept as { id: string }).id,
  )
  assert.equal(ids[0], 'kept')
  assert.deepEqual(await consumeAll(cluster, 'bulk'), [])
})

scenario(
  'a disk that another program fills at once, in the middle of the traffic, costs no acknowledged message',
  async (scene, t) => {
    if (await skipsWithoutImages(scene, t)) return
    const { cluster, disk } = await clusterOnDisk(scene)
    await cluster.done('topic', 'create', 'commits', '--partitions', '8')
    const client = await cluster.connect()
    const producer = client.producer({ batchMessages: 50 })
    const history = new History()
    const events = skewedEvents(7)
    let next = 0
    let isOver = false
    const send = async (): Promise<void> => {
      while (!isOver && next < events.length) {
        const slice = events.slice(next, next + 50)
        next += slice.length
        await sendInto(
          history,
          producer,
          slice.map((event) => toMessage('commits', event)),
        )
      }
    }
    const senders = Array.from({ length: 4 }, send)
    await until(() => history.ackedCount >= 500, { what: 'traffic', everyMs: 1 })
    leaveNothing(disk.folder)
    await untilRefused(cluster, 'commits')
    const ackedWhenFull = history.ackedCount
    assert.ok(next < events.length, 'the disk was full before the traffic was over')
    assert.ok((await readAll(client, 'commits')).length >= ackedWhenFull, 'consume goes on')

    await makeRoom(disk.folder)
    await until(() => history.ackedCount >= ackedWhenFull + 200, { what: 'the traffic to go on' })
    isOver = true
    await Promise.all(senders)
    await cluster.broker().stop('SIGKILL')
    await cluster.broker().start()
    const seen = sightings(await readAll(client, 'commits')).filter(({ id }) => id !== 'try')
    history.reading(seen, { isWhole: true })
    assert.deepEqual(
      history.problems().filter(({ kind }) => kind !== 'jump'),
      [],
    )
  },
)
