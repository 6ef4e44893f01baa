import assert from 'node:assert/strict'
import { test } from 'node:test'
import { registryContract } from './testing/registry-contract.ts'
import { type CommitFault, MemoryRegistry } from './memory-registry.ts'

registryContract('memory', async () => {
  const registry = new MemoryRegistry()
  return {
    openSession: (lost) => registry.openSession(lost),
    expire: (session) => registry.expire(session),
    close: () => registry.close(),
  }
})

void test('a fault makes the outcome unknown, with the commit done or not', async () => {
  let fault: CommitFault = 'none'
  const registry = new MemoryRegistry({ fault: () => fault })
  const session = await registry.openSession(() => undefined)
  fault = 'dropped'
  assert.deepEqual(
    await session.commit([{ kind: 'create', path: '/a', value: new Uint8Array(0) }]),
    { kind: 'unknown' },
  )
  fault = 'unanswered'
  assert.deepEqual(
    await session.commit([{ kind: 'create', path: '/b', value: new Uint8Array(0) }]),
    { kind: 'unknown' },
  )
  assert.deepEqual(await session.children('/'), ['b'])
})
