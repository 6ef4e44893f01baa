/** What keeps a role from starting, each with its own named error, its mend and exit code 1; the data stays as it was. */
import assert from 'node:assert/strict'
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import path from 'node:path'
import { brokerRole, Cluster, devRole } from '../harness/cluster.ts'
import { popmq } from '../harness/popmq.ts'
import { freePorts } from '../harness/port.ts'
import { consumeAll } from '../harness/reading.ts'
import { type Scene, scenario } from '../harness/scenario.ts'

interface Refusal {
  readonly name: string
  /** What the sentence must say. */
  readonly says?: string
}

/** Runs a role that must not start. */
async function assertRefused(args: readonly string[], { name, says = '' }: Refusal): Promise<void> {
  const { code, stdout, stderr } = await popmq(args, { withinMs: 30_000 })
  assert.equal(code, 1, stderr)
  assert.equal(stdout, '')
  const line = stderr.trimEnd().split('\n').at(-1) ?? ''
  assert.match(line, new RegExp(`^error ${name}: .+ \\(.+\\)$`))
  assert.ok(line.includes(says), `"${line}" says "${says}"`)
}

function brokerArgs(place: { id?: number; server: string; data: string; port: number }): string[] {
  const { id = 1, server, data, port } = place
  return [
    'broker',
    '--id',
    String(id),
    '--coordinators',
    server,
    '--data',
    data,
    '--listen',
    `127.0.0.1:${port}`,
  ]
}

async function listening(scene: Scene, port: number): Promise<void> {
  const server = await new Promise<Server>((resolve, reject) => {
    const opened = createServer().on('error', reject)
    opened.listen(port, '127.0.0.1', () => resolve(opened))
  })
  scene.keep({ close: () => new Promise<void>((done) => server.close(() => done())) })
}

scenario('a port in use is named, for each role', async (scene) => {
  const port = await freePorts()
  await listening(scene, port)
  const listen = `127.0.0.1:${port}`
  const refused = { name: 'port_in_use', says: String(port) }
  await Promise.all([
    assertRefused(
      ['coordinator', '--id', '1', '--listen', listen, '--data', scene.path('coordinator')],
      refused,
    ),
    assertRefused(brokerArgs({ server: '127.0.0.1:1', data: scene.path('broker'), port }), refused),
    assertRefused(['dev', '--data', scene.path('dev'), '--port-base', String(port)], refused),
  ])
})

scenario(
  'a data directory in use, of another role, of another broker or with foreign files is refused and left alone',
  async (scene) => {
    const cluster = await Cluster.start(scene)
    const { server } = cluster
    const port = await freePorts()
    const broker = { server, port }
    const used = scene.path('broker-1')
    await assertRefused(brokerArgs({ ...broker, data: used }), {
      name: 'data_directory_locked',
      says: used,
    })
    const coordinatorData = scene.path('coordinator')
    const listen = `127.0.0.1:${port}`
    await assertRefused(
      ['coordinator', '--id', '1', '--listen', listen, '--data', coordinatorData],
      {
        name: 'data_directory_locked',
        says: coordinatorData,
      },
    )
    const photos = scene.path('photos')
    await mkdir(photos)
    await writeFile(path.join(photos, 'beach.jpg'), 'sand')
    await assertRefused(brokerArgs({ ...broker, data: photos }), {
      name: 'data_directory_invalid',
      says: 'beach.jpg',
    })
    assert.deepEqual(await readdir(photos), ['beach.jpg'])

    await cluster.broker().stop('SIGTERM')
    await assertRefused(['coordinator', '--id', '1', '--listen', listen, '--data', used], {
      name: 'data_directory_invalid',
      says: 'of a broker',
    })
    await assertRefused(brokerArgs({ ...broker, id: 2, data: used }), {
      name: 'foreign_cluster',
      says: 'brokerId 1',
    })
    await cluster.broker().start()
    await cluster.done('topic', 'create', 'orders')
  },
)

scenario(
  'a data directory of a newer format is refused until the format is one that is known',
  async (scene) => {
    const cluster = await Cluster.start(scene)
    await cluster.broker().stop('SIGTERM')
    const file = scene.path('broker-1', 'format.json')
    const text = await readFile(file, 'utf8')
    await writeFile(file, text.replace(/"format": \d+/, '"format": 99'))
    const args = brokerArgs({
      server: cluster.server,
      data: scene.path('broker-1'),
      port: await freePorts(),
    })
    await assertRefused(args, { name: 'newer_format', says: 'format 99' })
    await writeFile(file, 'not JSON')
    await assertRefused(args, { name: 'data_directory_invalid', says: 'format.json' })
    await writeFile(file, text)
    await cluster.broker().start()
    await cluster.done('topic', 'create', 'orders')
  },
)

scenario(
  'a broker with the data of another cluster is refused by foreign_cluster',
  async (scene) => {
    const cluster = await Cluster.start(scene)
    await cluster.broker().stop('SIGTERM')
    const other = await devRole(scene, scene.path('other'))
    await other.start()
    const args = brokerArgs({
      id: 1,
      server: other.server,
      data: scene.path('broker-1'),
      port: await freePorts(),
    })
    await assertRefused(args, { name: 'foreign_cluster', says: 'cluster' })
    await cluster.broker().start()
  },
)

scenario(
  'a registry older than what the broker has seen is refused by registry_behind, until the newest is back',
  async (scene) => {
    const cluster = await Cluster.start(scene)
    const registry = scene.path('coordinator')
    await cluster.coordinator.stop('SIGTERM')
    await cp(registry, scene.path('old registry'), { recursive: true })
    await cluster.restartCoordinator()
    await cluster.done('topic', 'create', 'orders', '--partitions', '1')
    await cluster.done('produce', 'orders', '{"id":"a"}')
    await cluster.broker().stop('SIGTERM')
    await cluster.coordinator.stop('SIGTERM')
    await cp(registry, scene.path('new registry'), { recursive: true })
    await rm(registry, { recursive: true })
    await cp(scene.path('old registry'), registry, { recursive: true })
    await cluster.coordinator.start()
    const args = brokerArgs({
      server: cluster.server,
      data: scene.path('broker-1'),
      port: await freePorts(),
    })
    await assertRefused(args, { name: 'registry_behind', says: 'seen' })

    await cluster.coordinator.stop('SIGTERM')
    await rm(registry, { recursive: true })
    await cp(scene.path('new registry'), registry, { recursive: true })
    await cluster.coordinator.start()
    await cluster.broker().start()
    assert.deepEqual(
      (await consumeAll(cluster, 'orders')).map(({ value }) => value),
      [{ id: 'a' }],
    )
  },
)

scenario(
  'a second broker with the id of one that lives is refused, and the first serves on',
  async (scene) => {
    const cluster = await Cluster.start(scene)
    await cluster.done('topic', 'create', 'orders', '--partitions', '1')
    const args = brokerArgs({
      server: cluster.server,
      data: scene.path('twin'),
      port: await freePorts(),
    })
    await assertRefused(args, { name: 'broker_id_in_use', says: cluster.broker().address })
    await cluster.done('produce', 'orders', '{"id":"a"}')
    assert.equal((await consumeAll(cluster, 'orders')).length, 1)

    // Once the first has gone its id is free, but not for a process without its messages.
    await cluster.broker().stop('SIGTERM')
    await assertRefused(args, { name: 'data_missing', says: 'broker 1' })
    await rename(scene.path('broker-1'), scene.path('moved'))
    const place = { server: cluster.server, data: scene.path('moved'), port: await freePorts() }
    await brokerRole(scene, { id: 1, ...place }).start()
    assert.equal((await consumeAll(cluster, 'orders')).length, 1)
  },
)
