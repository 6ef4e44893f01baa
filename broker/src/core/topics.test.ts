import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AssertionError } from '@popmq/kit'
import {
  type GroupId,
  groupId,
  partitionKey,
  partitionNumber,
  type ServedGroup,
  topicId,
} from '@popmq/protocol'
import { sampleGroup } from './testing/sample-group.ts'
import { sampleTopic } from './testing/sample-set.ts'
import { Topics } from './topics.ts'

const elsewhere = { ...sampleTopic, id: topicId(2), name: 'bills', sets: [9, 5] }

const groupOf = (id: number, topics: readonly number[] = []): ServedGroup =>
  sampleGroup(id, { topics, deadRetentionMs: id * 1_000 })
const idsOf = (topics: Topics): number[] => [...topics.all].map(({ id }) => id)
const readers = (topics: Topics, topic: number): [GroupId, number][] =>
  topics.readersOf(topicId(topic)).map(({ group, topic: read }) => [group.groupId, read.topicId])

void test('the dead letters of a group are a topic with one partition here, which has the number of the set', () => {
  const topics = new Topics(5, [sampleTopic, elsewhere], [groupOf(1), groupOf(2)])
  assert.deepEqual(idsOf(topics), [1, 2, 901, 902])
  const topic = topics.get(topicId(902))
  assert.ok(topic !== undefined)
  assert.equal(topic.name, '_dead.g2')
  assert.equal(topic.policy.retentionMs, 2_000)
  assert.deepEqual(topics.ledKeys(topic), [partitionKey(topicId(902), partitionNumber(5))])
  assert.deepEqual(topics.ledKeys(elsewhere), [partitionKey(topicId(2), partitionNumber(1))])
  assert.deepEqual(topics.ledDead(groupId(2)), { topic, key: topics.ledKeys(topic)[0] })
  assert.equal(topics.ledDead(groupId(3)), undefined)
  assert.equal(topics.dedupWindowMs(topicId(902)), 0)
})

void test('no user is led to dead letters', () => {
  const topics = new Topics(5, [elsewhere], [groupOf(1)])
  for (let number = 0; number < 1_024; number += 1)
    assert.equal(topics.led(topicId(901), partitionNumber(number)), undefined)
  assert.equal(topics.led(topicId(2), partitionNumber(1)), elsewhere)
})

void test('the readers of a topic are the groups that name it', () => {
  const topics = new Topics(1, [sampleTopic, elsewhere], [groupOf(1, [1]), groupOf(2, [1, 2])])
  assert.deepEqual(readers(topics, 1), [
    [1, 1],
    [2, 1],
  ])
  assert.deepEqual(readers(topics, 2), [[2, 2]])
  assert.deepEqual(readers(topics, 3), [])
})

void test('a list of topics alone leaves the groups and their dead letters, a list of groups replaces them', () => {
  const topics = new Topics(1, [sampleTopic], [groupOf(1, [1])])
  topics.update([sampleTopic, elsewhere])
  assert.deepEqual(idsOf(topics), [1, 2, 901])
  assert.deepEqual(readers(topics, 1), [[1, 1]])
  topics.update([sampleTopic], [groupOf(3)])
  assert.deepEqual(idsOf(topics), [1, 903])
  assert.deepEqual(
    [...topics.groups].map(({ groupId: id }) => id),
    [3],
  )
  assert.equal(topics.group(groupId(1)), undefined)
  assert.equal(topics.group(groupId(3))?.name, 'g3')
  assert.deepEqual(readers(topics, 1), [])
})

void test('a set whose number is no partition’s is refused', () => {
  assert.doesNotThrow(() => new Topics(1_023))
  assert.throws(() => new Topics(1_024), AssertionError)
})
