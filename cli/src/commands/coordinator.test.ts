import assert from 'node:assert/strict'
import { test } from 'node:test'
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
