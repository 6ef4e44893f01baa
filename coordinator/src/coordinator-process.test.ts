import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { silentLog, systemClock } from '@popmq/kit'
import {
  brokerOpen,
  isMqError,
  metadata,
  type MqError,
  producerOpen,
  topicCreate,
} from '@popmq/protocol'
import { Caller, webSocketTransport } from '@popmq/transport'
import { coordinatorProcess, type CoordinatorProcess } from './coordinator-process.ts'

interface Ran {
  readonly process: CoordinatorProcess
  readonly caller: Caller
}

const folders: string[] = []

// Hooks of a test run in the order in which they were made: the folders must go after the processes.
after(async () => {
  for (const path of folders) await rm(path, { recursive: true, force: true })
})

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'popmq-coordinator-'))
  folders.push(path)
  return join(path, 'data')
}

function start(data: string, listen = '127.0.0.1:0'): Promise<CoordinatorProcess> {
  return coordinatorProcess({
    registry: { data },
    listen,
    log: silentLog,
    onFatal: (error) => assert.fail(error.message),
  })
}

async function run(t: TestContext, data: string): Promise<Ran> {
  const process = await start(data)
  t.after(() => process.close())
  const caller = await Caller.connect(webSocketTransport(), process.address, {
    clock: systemClock,
    client: 'test',
  })
  t.after(() => caller.close())
  return { process, caller }
}

const timeoutMs = 5_000
const opening = { incarnation: 'x', address: 'b:1', highestTopicId: 0, highestEpoch: 0 }

void test('over a real socket and disk a coordinator keeps its cluster through a restart', async (t) => {
  const data = await folder()
  const first = await run(t, data)
  const { reply: opened } = await first.caller.call(
    brokerOpen,
    { brokerId: 1, ...opening },
    { timeoutMs },
  )
  const { reply: producer } = await first.caller.call(producerOpen, {}, { timeoutMs })
  assert.equal(opened.clusterId, first.process.clusterId)
  await first.process.close()
  const second = await run(t, data)
  assert.equal(second.process.clusterId, first.process.clusterId)
  assert.equal(second.caller.hello.clusterId, first.process.clusterId)
  const { reply: routes } = await second.caller.call(metadata, {}, { timeoutMs })
  assert.deepEqual(routes.sets, [
    { id: opened.setId, leader: 1, epoch: opened.epoch, address: 'b:1' },
  ])
  const { reply: next } = await second.caller.call(producerOpen, {}, { timeoutMs })
  assert.ok(next.producerId > producer.producerId)
})

void test('a second coordinator on the same data is refused while the first runs', async (t) => {
  const data = await folder()
  const { process, caller } = await run(t, data)
  await assert.rejects(
    start(data),
    (error: unknown) =>
      isMqError(error, 'data_directory_locked') && (error as MqError).what.includes(data),
  )
  await caller.call(producerOpen, {}, { timeoutMs })
  await process.close()
  await (await start(data)).close()
})

void test('a port in use is refused, and the data is free again', async (t) => {
  const { process } = await run(t, await folder())
  const data = await folder()
  await assert.rejects(start(data, process.address), (error: unknown) =>
    isMqError(error, 'port_in_use'),
  )
  await (await start(data)).close()
})

void test('health and metrics are on the port of the coordinator', async (t) => {
  const { process, caller } = await run(t, await folder())
  await assert.rejects(
    caller.call(topicCreate, { name: 'a', partitions: 1 }, { timeoutMs }),
    (error: unknown) => isMqError(error, 'no_brokers'),
  )
  for (const path of ['/healthz', '/readyz']) {
    const response = await fetch(`http://${process.address}${path}`)
    assert.equal(response.status, 200)
    assert.match(await response.text(), /"status":"leading"/)
  }
  const metrics = await (await fetch(`http://${process.address}/metrics`)).text()
  assert.match(metrics, /^popmq_coordinator_leading 1$/m)
  assert.match(metrics, /^popmq_coordinator_elections_total 1$/m)
  assert.match(metrics, /^popmq_coordinator_redirects_total 0$/m)
  assert.match(metrics, /request_seconds_count\{request="topic_create",error="no_brokers"\} 1/)
  assert.equal((await fetch(`http://${process.address}/other`)).status, 404)
})

void test('who signs in at ZooKeeper has a name and a password', async () => {
  const registry = { zookeeper: '127.0.0.1:1', auth: 'mq' }
  const onFatal = (error: MqError): never => assert.fail(error.message)
  await assert.rejects(
    coordinatorProcess({ registry, listen: '127.0.0.1:0', log: silentLog, onFatal }),
    (error) => isMqError(error, 'invalid_config'),
  )
})
