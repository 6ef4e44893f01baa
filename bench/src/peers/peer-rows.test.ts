import assert from 'node:assert/strict'
import { test } from 'node:test'
import { peerWorkloads } from './contender.ts'
import { absentPeers, chosenPeers, peers } from './peer-list.ts'
import { peerRows } from './peer-rows.ts'

const contender = {
  messages: 10,
  acknowledged: 'after a sync',
  settings: 'none',
  versions: '1.0',
} as const

void test('each row is compared with the first one, and a peer without numbers says why', () => {
  const turns = [
    { path: 'popmq', messagesPerSecond: 300 },
    { path: 'other', messagesPerSecond: 100 },
    { path: 'other', messagesPerSecond: 50 },
    { path: 'popmq', messagesPerSecond: 100 },
    { path: 'popmq', messagesPerSecond: 200 },
    { path: 'other', messagesPerSecond: 40 },
  ]
  const contenders = ['popmq', 'other'].map((name) => ({ ...contender, name }))
  const absent = { path: 'absent', notRun: 'absent-server is not installed' }
  const rows = peerRows({ contenders, notRun: [absent] }, turns)
  assert.deepEqual(
    rows.map((row) => ('notRun' in row ? row : [row.path, row.messagesPerSecond, row.ratio])),
    [['popmq', 200, 1], ['other', 50, 4], absent],
  )
})

void test('peers are chosen by how their names begin, and each is used or says why not', () => {
  assert.equal(chosenPeers(peers, []).length, peers.length)
  assert.deepEqual(
    chosenPeers(peers, ['rabbitmq', 'bullmq, e']).map(({ name }) => name),
    ['rabbitmq quorum queue', 'rabbitmq stream', 'rabbitmq stream, amqp', 'bullmq, everysec'],
  )
  assert.equal(new Set(peers.map(({ name }) => name)).size, peers.length)
  for (const { workloads } of peers) {
    const uses = peerWorkloads.map((workload) => workloads[workload])
    assert.ok(uses.some((use) => !('notRun' in use)))
    for (const use of uses) assert.ok('notRun' in use ? use.notRun !== '' : use.streams > 0)
  }
})

void test('Kafka takes part with and without a sync, and RocketMQ is named', () => {
  const kafka = chosenPeers(peers, ['kafka'])
  assert.deepEqual(
    kafka.map(({ name, workloads }) => {
      const use = workloads['end-to-end']
      return [name, 'notRun' in use ? use.notRun : use.acknowledged]
    }),
    [
      ['kafka', 'before a sync'],
      ['kafka, sync always', 'after a sync'],
    ],
  )
  for (const { workloads } of kafka) assert.ok('notRun' in workloads.pop)
  assert.deepEqual(
    chosenPeers(absentPeers, []).map(({ name }) => name),
    ['rocketmq'],
  )
  assert.deepEqual(chosenPeers(absentPeers, ['kafka']), [])
})
