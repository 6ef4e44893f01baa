import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkInstalled } from './zookeeper-server.ts'

void test('a machine without ZooKeeper is told which packages are missing', () => {
  assert.throws(
    () => checkInstalled('/nowhere/zookeeper.jar'),
    /default-jre-headless.*libzookeeper-java.*npm test installs them/,
  )
})
