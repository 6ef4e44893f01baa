import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMqError } from '@popmq/protocol'
import { type CommonFlags, readSettings } from './settings.ts'

interface Given {
  readonly flags?: CommonFlags
  readonly environment?: Record<string, string>
  readonly files?: Record<string, string>
}

function read({ flags = {}, environment = {}, files = {} }: Given) {
  return readSettings({ flags, environment, readText: (path) => files[path] })
}

void test('a flag stands above the environment, that above the config file, that above the default', () => {
  const files = { './popmq.json': '{"server":"file:1"}' }
  const environment = { POPMQ_SERVER: 'environment:1' }
  assert.equal(read({ flags: { server: 'flag:1' }, environment, files }).server, 'flag:1')
  assert.equal(read({ environment, files }).server, 'environment:1')
  assert.equal(read({ files }).server, 'file:1')
  assert.equal(read({}).server, 'localhost:7700')
})

void test('an empty variable of the environment is none', () => {
  assert.equal(read({ environment: { POPMQ_SERVER: '' } }).server, 'localhost:7700')
})

void test('a config file that is named must be there; the default one need not', () => {
  assert.throws(
    () => read({ flags: { config: 'mine.json' } }),
    (error) => isMqError(error, 'invalid_config'),
  )
  assert.equal(
    read({ flags: { config: 'mine.json' }, files: { 'mine.json': '{"logLevel":"debug"}' } })
      .logLevel,
    'debug',
  )
})

void test('a config file is refused with what is wrong in it', () => {
  const refusals: [string, RegExp][] = [
    ['{"sever":"a:1"}', /popmq\.json: unknown key "sever": did you mean server\?/],
    ['{"server":1}', /server must be text/],
    ['{"logLevel":"inof"}', /did you mean info\?/],
    ['[]', /one JSON object/],
    ['{', /not JSON/],
  ]
  for (const [text, what] of refusals) {
    assert.throws(
      () => read({ files: { './popmq.json': text } }),
      (error) => isMqError(error, 'invalid_config') && what.test(error.message),
    )
  }
})
