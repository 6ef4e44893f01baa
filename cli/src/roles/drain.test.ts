import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deferred, silentLog } from '@popmq/kit'
import { Scheduler } from '@popmq/kit/testing'
import { isMqError, MqError } from '@popmq/protocol'
import { drain } from './drain.ts'
import type { Role } from './role.ts'

function fakeRole(
  name: string,
  closed: string[],
  close: () => Promise<void> = async () => undefined,
) {
  const failed = deferred<MqError>()
  const role: Role = {
    address: `${name}:1`,
    failed: failed.promise,
    close: async () => {
      await close()
      closed.push(name)
    },
  }
  return { role, failed }
}

function given(clock = new Scheduler()) {
  const controller = new AbortController()
  return {
    clock,
    controller,
    options: { invocation: { clock, signal: controller.signal }, log: silentLog },
  }
}

void test('roles serve until the process is asked to stop, and close in reverse order', async () => {
  const { controller, options } = given()
  const closed: string[] = []
  const roles = [fakeRole('coordinator', closed).role, fakeRole('broker', closed).role]
  const draining = drain(roles, options)
  await new Promise(setImmediate)
  assert.deepEqual(closed, [])
  controller.abort()
  await draining
  assert.deepEqual(closed, ['broker', 'coordinator'])
})

void test('a role that fails ends all of them, with its error', async () => {
  const { options } = given()
  const closed: string[] = []
  const broker = fakeRole('broker', closed)
  const draining = drain([fakeRole('coordinator', closed).role, broker.role], options)
  broker.failed.resolve(new MqError('disk_failed', 'the sync failed'))
  await assert.rejects(draining, (error) => isMqError(error, 'disk_failed'))
  assert.deepEqual(closed, ['broker', 'coordinator'])
})

void test('a role that cannot close is given 20 s', async () => {
  const { clock, controller, options } = given()
  const stuck = fakeRole('broker', [], () => new Promise(() => undefined))
  let error: unknown
  const draining = drain([stuck.role], options).catch((reason: unknown) => (error = reason))
  controller.abort()
  await clock.run(19_999)
  assert.equal(error, undefined)
  await clock.run(1)
  await draining
  assert.ok(isMqError(error, 'timed_out'))
})

void test('a role that fails to close is an error', async () => {
  const { controller, options } = given()
  const bad = fakeRole('broker', [], () => Promise.reject(new MqError('disk_failed', 'no')))
  controller.abort()
  await assert.rejects(drain([bad.role], options))
})
