/**
 * Power cuts: the broker's data lies on a file system in a file. After kill −9 the file is copied while the file system
 * is still mounted, which leaves out whatever was not synced; the broker goes on with the copy.
 */
import assert from 'node:assert/strict'
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs'
import path from 'node:path'
import { Cluster } from '../harness/cluster.ts'
import { DiskImage, HeldWriteback, whyNoCuts } from '../harness/disk-image.ts'
import { History } from '../harness/history.ts'
import { skewedEvents } from '../harness/key-skew.ts'
import { readAll, RunningReader, sendInto, sightings, toMessage } from '../harness/reading.ts'
import { scenario } from '../harness/scenario.ts'
import { until } from '../harness/waiting.ts'

/** The file is sparse. */
const diskBytes = 1_073_741_824

scenario('a power cut takes what was written and not synced', async (scene, t) => {
  const problem = await whyNoCuts(scene.folder)
  if (problem !== undefined) return t.skip(`Not run on this machine: ${problem}`)
  scene.keep(await HeldWriteback.hold())
  const disk = scene.keep(await DiskImage.create(scene.path('disk.image'), 64 * 1_048_576))
  const head = 'synced\n'.repeat(1_000)
  const fd = openSync(path.join(disk.folder, 'log'), 'w')
  writeSync(fd, head)
  fsyncSync(fd)
  writeSync(fd, 'only written\n'.repeat(1_000))
  closeSync(fd)
  const other = openSync(path.join(disk.folder, 'never synced'), 'w')
  writeSync(other, 'only written\n'.repeat(1_000))
  closeSync(other)

  const after = scene.keep(await disk.cut('after.image'))
  assert.equal(readFileSync(path.join(after.folder, 'log'), 'utf8'), head)
  const left = path.join(after.folder, 'never synced')
  assert.equal(existsSync(left) ? readFileSync(left, 'utf8') : '', '')
})

scenario('no message acknowledged at level disk is lost in three power cuts', async (scene, t) => {
  const problem = await whyNoCuts(scene.folder)
  if (problem !== undefined) return t.skip(`Not run on this machine: ${problem}`)
  scene.keep(await HeldWriteback.hold())
  let disk = await DiskImage.create(scene.path('disk-0.image'), diskBytes)
  scene.keep({ close: () => disk.close() })
  // Each mount has a path of its own; the broker is always given this one.
  const cluster = await Cluster.start(scene, {
    brokersLater: true,
    brokerData: () => path.join(disk.folder, 'data'),
  })
  await startOn(cluster, disk)
  await cluster.done('topic', 'create', 'commits', '--partitions', '8')
  const client = await cluster.connect()
  const producer = client.producer({ acks: 'disk', batchMessages: 50 })
  const history = new History()
  const events = skewedEvents(5).slice(0, 12_000)
  const reader = new RunningReader(client, 'commits')
  let next = 0
  const sendUntilCut = async (isOver: () => boolean): Promise<void> => {
    while (!isOver() && next < events.length) {
      const slice = events.slice(next, next + 50)
      next += slice.length
      await sendInto(
        history,
        producer,
        slice.map((event) => toMessage('commits', event)),
      )
    }
  }
  for (let cut = 1; cut <= 3; cut += 1) {
    let isOver = false
    const before = history.ackedCount
    const senders = Array.from({ length: 4 }, () => sendUntilCut(() => isOver))
    await until(() => history.ackedCount >= before + 1_000, {
      what: '1,000 acknowledgements',
      everyMs: 1,
    })
    await cluster.broker().stop('SIGKILL')
    assert.ok(next < events.length, 'the cut falls into the traffic')
    isOver = true
    disk = await disk.cut(`disk-${cut}.image`)
    await startOn(cluster, disk)
    await Promise.all(senders)
    // What anyone saw before the cut must be there as well, and where it was.
    history.reading(sightings(reader.seen), { isWhole: false })
    history.reading(sightings(await readAll(client, 'commits')), { isWhole: true })
    assert.deepEqual(history.problems(), [], `after cut ${cut}`)
  }
  assert.ok(history.ackedCount >= 3_000)
  assert.ok(reader.seen.length >= 3_000, 'the reader ran along')
  await reader.stop()
})

function startOn(cluster: Cluster, disk: DiskImage): Promise<void> {
  return cluster.broker().start({ flags: ['--data', path.join(disk.folder, 'data')] })
}
