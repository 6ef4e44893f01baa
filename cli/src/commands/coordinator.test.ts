import assert from 'node:assert/strict'
import { test } from 'node:test'
import { zookeeperPlace } from '../roles/registry-place.ts'
import { transcript } from '../testing/fake-surroundings.ts'

for (const where of ['', '--zookeeper zk:2181 --data d']) {
  void test(`a coordinator takes one place for its registry: refused with "${where}"`, async () => {
    const { exitCode, stderr } = await transcript(
      `coordinator --id 1 --listen localhost:0 ${where}`.trim(),
    )
    assert.equal(exitCode, 2)
    assert.match(stderr, /give --zookeeper or --data: one of the two/)
  })
}

void test('who signs in at ZooKeeper is taken from the environment, and from nowhere else', () => {
  assert.deepEqual(zookeeperPlace('zk:2181', {}), { zookeeper: 'zk:2181' })
  const environment = { POPMQ_ZOOKEEPER_AUTH: 'mq:secret' }
  assert.deepEqual(zookeeperPlace('zk:2181', environment), {
    zookeeper: 'zk:2181',
    auth: 'mq:secret',
  })
})
