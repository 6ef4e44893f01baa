import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isOlder, tooOld, versionIn } from './versions.ts'

void test('versions are compared number by number', () => {
  const pairs: [string, string, boolean][] = [
    ['2.9.10', '2.12', true],
    ['2.12.0', '2.12', false],
    ['2.12', '2.9.10', false],
    ['7.0.15', '8.2', true],
    ['10.0', '8.2', false],
    ['8', '8.2', true],
  ]
  for (const [version, other, expected] of pairs)
    assert.equal(isOlder(version, other), expected, `${version} ${other}`)
})

void test('a version is found in what a server says of itself', () => {
  assert.equal(versionIn('Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0'), '7.0.15')
  assert.equal(versionIn('nats-server: v2.9.10\n'), '2.9.10')
  assert.equal(versionIn('command not found'), undefined)
})

void test('a server that a client cannot speak with is told of before it is tried', () => {
  assert.match(tooOld('rabbitmq-streams', '3.10.8') ?? '', /RabbitMQ 3\.10\.8 does not know them/)
  assert.equal(tooOld('rabbitmq-streams', '3.11.0'), undefined)
  assert.equal(tooOld('rabbitmq-queues', '3.10.8'), undefined)
})
