import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMqError } from '@popmq/protocol'
import { parseHosts, serverName } from './hosts.ts'

void test('hosts are host:port pairs with one path behind them all', () => {
  assert.deepEqual(parseHosts('a:1,b.example:2181/popmq/east'), {
    servers: [
      { host: 'a', port: 1 },
      { host: 'b.example', port: 2_181 },
    ],
    chroot: '/popmq/east',
  })
})

void test('a port is 2181 unless told, and a slash alone is ZooKeeper’s own root', () => {
  const one = { servers: [{ host: '10.0.0.1', port: 2_181 }], chroot: '' }
  assert.deepEqual(parseHosts('10.0.0.1'), one)
  assert.deepEqual(parseHosts('10.0.0.1:2181/'), one)
})

void test('an IPv6 address stands in brackets', () => {
  const { servers } = parseHosts('[::1]:2182,[fe80::1]')
  assert.deepEqual(servers, [
    { host: '::1', port: 2_182 },
    { host: 'fe80::1', port: 2_181 },
  ])
  assert.deepEqual(servers.map(serverName), ['[::1]:2182', '[fe80::1]:2181'])
})

for (const wrong of [
  '',
  ',',
  'a:1,',
  'a:0',
  'a:70000',
  'a:x',
  '::1',
  '/popmq',
  'a:1//x',
  'a:1/.x',
]) {
  void test(`${JSON.stringify(wrong)} is refused as a configuration`, () => {
    assert.throws(
      () => parseHosts(wrong),
      (error: unknown) => isMqError(error, 'invalid_config'),
    )
  })
}
