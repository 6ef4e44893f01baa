import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MqError } from '@popmq/client'
import type { Contender } from './contender.ts'
import { Field, type Installing } from './field.ts'
import { absentPeers, chosenPeers, peers } from './peer-list.ts'
import { peerRows } from './peer-rows.ts'

const settings = {
  workload: 'pop',
  ...{ sizeBytes: 20, batch: 2, messages: 10, runs: 1, consumers: 2, processes: 1 },
  say: () => undefined,
} as const
/** Nothing is started: it is no folder. */
const nowhere = '/dev/null'

async function notRun(installing: Installing): Promise<ReadonlyMap<string, string>> {
  const field = new Field(settings, nowhere, installing)
  for (const peer of peers) await field.open(peer)
  assert.deepEqual(field.contenders, [])
  const rows = peerRows(field, [])
  await field.close()
  return new Map(rows.map((row) => [row.path, 'notRun' in row ? row.notRun : '']))
}

void test('where nothing can be installed, each peer has a row that says why', async () => {
  let servers = 0
  const server = (): Promise<never> => {
    servers += 1
    return Promise.reject(new MqError('internal', 'servers are of no use without clients'))
  }
  const why = await notRun({ clients: () => Promise.resolve('npm ci failed'), server })
  assert.equal(why.size, peers.length)
  assert.equal(why.get('bullmq, everysec'), 'npm ci failed')
  assert.equal(why.get('rabbitmq stream'), 'a stream keeps no acks of single messages')
  assert.equal(servers, 0)
})

void test('where Kafka cannot be fetched, its rows say why, and RocketMQ stands behind them', async () => {
  const field = new Field({ ...settings, workload: 'end-to-end' }, nowhere, {
    clients: () => Promise.resolve(undefined),
    server: ({ name }) => Promise.resolve({ notRun: `no ${name}` }),
  })
  for (const peer of chosenPeers(peers, ['kafka'])) await field.open(peer)
  for (const peer of absentPeers) field.miss(peer)
  assert.deepEqual(field.notRun.map(({ path, notRun: why }) => [path, why]).slice(0, 2), [
    ['kafka', 'no kafka'],
    ['kafka, sync always', 'no kafka'],
  ])
  assert.equal(field.notRun.at(2)?.path, 'rocketmq')
  await field.close()
})

void test('a server is installed once for all that use it, and is missed by those alone', async () => {
  const asked: string[] = []
  const why = await notRun({
    clients: () => Promise.resolve(undefined),
    server: ({ name }) => {
      asked.push(name)
      return Promise.resolve({ notRun: `${name} is not installed` })
    },
  })
  assert.deepEqual(asked, ['redis-server', 'nats-server', 'rabbitmq-server'])
  assert.equal(why.get('bullmq, always'), 'redis-server is not installed')
  assert.equal(why.get('jetstream'), 'nats-server is not installed')
})

void test('a peer that fails on the way takes part no more, and its row says why', async () => {
  const field = new Field(settings, nowhere)
  let isClosed = false
  const contender: Contender = {
    ...{ name: 'other', settings: '', versions: '', messages: 10 },
    acknowledged: 'after a sync',
    lost: new Promise(() => undefined),
    measure: () => Promise.resolve(1),
    close: () => Promise.resolve(void (isClosed = true)),
  }
  field.add(contender)
  await field.drop(contender, new MqError('timed_out', '3 of 10 messages were acked\nand a trace'))
  assert.deepEqual(field.contenders, [])
  assert.deepEqual(field.notRun, [
    { path: 'other', notRun: 'it failed: 3 of 10 messages were acked' },
  ])
  assert.equal(isClosed, true)
})
