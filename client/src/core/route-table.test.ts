import assert from 'node:assert/strict'
import { test } from 'node:test'
import { epoch, type SetInfo, topicId, type TopicInfo } from '@popmq/protocol'
import { type Metadata, RouteTable } from './route-table.ts'

const policy = { retentionMs: 0, maxBytes: 0, maxMessageBytes: 1, dedupWindowMs: 0, replicas: 1 }

function topic(name: string, id: number, sets: number[] = [1]): TopicInfo {
  return { name, id: topicId(id), sets, policy, createdAt: 0 }
}

function set(id: number, leader: number, at: number): SetInfo {
  return { id, leader, epoch: epoch(at), address: leader === 0 ? '' : `broker:${leader}` }
}

function answer(topics: TopicInfo[], sets: SetInfo[] = []): Metadata {
  return { clusterId: 'c', topics, sets, brokers: [] }
}

void test('a partition leads to the broker that leads its set, or to none', () => {
  const table = new RouteTable()
  const orders = topic('orders', 1, [1, 2])
  table.apply(answer([orders], [set(1, 7, 1), set(2, 0, 1)]), undefined)
  assert.deepEqual(table.leader(orders, 0), { brokerId: 7, address: 'broker:7' })
  assert.equal(table.leader(orders, 1), undefined)
  assert.equal(table.leader(orders, 2), undefined)
})

void test('an answer from the past changes nothing', () => {
  const table = new RouteTable()
  table.apply(answer([topic('orders', 5, [1, 1])], [set(1, 7, 9)]), ['orders'])
  const gone = table.apply(answer([topic('orders', 4)], [set(1, 6, 8)]), ['orders'])
  assert.deepEqual(gone, [])
  assert.equal(table.topic('orders')?.id, 5)
  table.apply(answer([topic('orders', 5, [1])]), ['orders'])
  const now = table.topic('orders')
  assert.equal(now?.sets.length, 2)
  assert.equal(table.leader(now, 0)?.brokerId, 7)
})

void test('a topic that was asked for and is absent is gone, and so is one with another id', () => {
  const table = new RouteTable()
  table.apply(answer([topic('a', 1), topic('b', 2), topic('c', 3)]), undefined)
  assert.deepEqual(table.apply(answer([topic('b', 9)]), ['a', 'b']), ['a', 'b'])
  assert.equal(table.topic('a'), undefined)
  assert.equal(table.topic('b')?.id, 9)
  assert.equal(table.topic('c')?.id, 3)
  assert.deepEqual(table.apply(answer([]), undefined), ['b', 'c'])
})
