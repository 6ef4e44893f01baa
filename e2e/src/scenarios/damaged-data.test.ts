/** Damage on disk: what was acknowledged is never skipped over in silence, and what was not is cut away. */
import assert from 'node:assert/strict'
import { open, readdir, readFile, rename, truncate, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { Cluster } from '../harness/cluster.ts'
import { History } from '../harness/history.ts'
import { asNdjson, skewedEvents } from '../harness/key-skew.ts'
import { consumeAll, sightings } from '../harness/reading.ts'
import { type Scene, scenario } from '../harness/scenario.ts'

interface Stopped {
  readonly cluster: Cluster
  readonly history: History
  /** The newest segment of the log. */
  readonly segment: string
}

/** A broker that was killed with 2,000 acknowledged messages. */
async function killedBroker(scene: Scene): Promise<Stopped> {
  const cluster = await Cluster.start(scene)
  const events = skewedEvents(8).slice(0, 2_000)
  await cluster.done('topic', 'create', 'commits', '--partitions', '4')
  const file = await scene.file('commits.ndjson', asNdjson(events))
  await cluster.done('produce', 'commits', '--file', file, '--key', 'author', '--batch', '100')
  await cluster.broker().stop('SIGKILL')
  const history = new History()
  for (const { id, author } of events) {
    history.sent(id, author)
    history.acked(id)
  }
  const folder = scene.path('broker-1', 'log')
  const names = (await readdir(folder)).toSorted()
  return { cluster, history, segment: path.join(folder, names.at(-1) ?? '') }
}

/** `naming`: what the sentence names, a path or a part of it. */
async function assertDamaged(cluster: Cluster, naming: string): Promise<void> {
  cluster.broker().launch()
  const { code, stderr } = await cluster.broker().end()
  assert.equal(code, 1, stderr)
  const line = stderr.trimEnd().split('\n').at(-1) ?? ''
  assert.match(line, /^error damaged_log: .+ \(restore the file .+\)$/)
  assert.ok(line.includes(path.basename(naming)), `"${line}" names ${path.basename(naming)}`)
}

async function assertWhole({ cluster, history }: Stopped): Promise<void> {
  history.reading(sightings(await consumeAll(cluster, 'commits')), { isWhole: true })
  assert.deepEqual(history.problems(), [])
}

scenario(
  'a bit that flipped in the synced log is refused by damaged_log, naming the file, and the log stays as it is',
  async (scene) => {
    const stopped = await killedBroker(scene)
    const { cluster, segment } = stopped
    const bytes = await readFile(segment)
    for (const at of [Math.floor(bytes.length / 3), Math.floor(bytes.length / 2)]) {
      const flipped = Buffer.from(bytes)
      flipped.writeUInt8(flipped.readUInt8(at) ^ 0x10, at)
      await writeFile(segment, flipped)
      await assertDamaged(cluster, segment)
      assert.deepEqual(await readFile(segment), flipped)
    }
    await writeFile(segment, bytes)
    await cluster.broker().start()
    await assertWhole(stopped)
  },
)

scenario('a segment that was removed or cut short is refused by damaged_log', async (scene) => {
  const { cluster, history, segment } = await killedBroker(scene)
  await cluster.broker().start()
  await cluster.broker().stop('SIGTERM')
  const away = scene.path('segment')
  await rename(segment, away)
  await assertDamaged(cluster, 'log holds no file')
  await rename(away, segment)
  const { length } = await readFile(segment)
  const bytes = await readFile(segment)
  await truncate(segment, Math.floor(length / 2))
  await assertDamaged(cluster, segment)
  await writeFile(segment, bytes)
  await cluster.broker().start()
  await assertWhole({ cluster, history, segment })
})

/** Without the zeros behind them that were written ahead. A record begins with its length. */
function recordsOf(file: Buffer): Buffer {
  let end = 0
  while (end + 4 <= file.length && file.readUInt32LE(end) > 0) end += file.readUInt32LE(end)
  return file.subarray(0, end)
}

scenario(
  'a torn tail is cut away and nothing that was acknowledged goes with it',
  async (scene) => {
    const stopped = await killedBroker(scene)
    const { cluster, segment } = stopped
    const bytes = recordsOf(await readFile(segment))
    await writeFile(segment, [bytes, bytes.subarray(0, 777)])
    await cluster.broker().start()
    assert.match(cluster.broker().log, / log_recovered .* cutBytes=777 isClean=false /)
    const found = await readFile(segment)
    const { length } = recordsOf(found)
    assert.ok(length >= bytes.length && length < bytes.length + 777, `records end at ${length}`)
    const behind = found.subarray(length)
    assert.ok(
      behind.every((byte) => byte === 0),
      'the torn bytes are off the disk: nothing can bring them back',
    )
    await assertWhole(stopped)
    await cluster.done('produce', 'commits', '{"id":"after"}', '--partition', '0')
    const end = (await readFile(segment)).indexOf('"id":"after"')
    assert.ok(end >= bytes.length, 'new messages stand behind the acknowledged ones')
  },
)

scenario('a broker that lost its checkpoints rebuilds everything from the log', async (scene) => {
  const stopped = await killedBroker(scene)
  const { cluster } = stopped
  await cluster.broker().start()
  await cluster.broker().stop('SIGTERM')
  const folder = scene.path('broker-1', 'checkpoints')
  const names = await readdir(folder)
  assert.ok(names.length > 0)
  for (const name of names) {
    const file = await open(path.join(folder, name), 'r+')
    await file.write(new Uint8Array(16).fill(0xff), 0, 16, 0)
    await file.close()
  }
  await cluster.broker().start()
  await assertWhole(stopped)
})
