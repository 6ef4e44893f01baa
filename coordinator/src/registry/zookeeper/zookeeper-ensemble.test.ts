import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { CommitOutcome } from '../../core/registry-port.ts'
import { create, seen, set, unexpected } from '../testing/registry-case.ts'
import { registryContract } from '../testing/registry-contract.ts'
import { TestZookeeperEnsemble } from '../testing/zookeeper-ensemble.ts'
import { testRegistry } from '../testing/zookeeper-world.ts'

const ensemble = await TestZookeeperEnsemble.start()
after(() => ensemble.stop())

registryContract('zookeeper, three servers', async () => {
  const registry = testRegistry(ensemble.hosts)
  return {
    openSession: (lost) => registry.openSession(lost),
    close: () => registry.close(),
  }
})

void test('when the leader is killed sessions live on and commits go on', async (t) => {
  const registry = testRegistry(ensemble.hosts, { sessionMs: 4_000, operationMs: 10_000 })
  t.after(() => registry.close())
  const sessions = await Promise.all([1, 2, 3].map(() => registry.openSession(unexpected)))
  for (const [index, session] of sessions.entries())
    await session.commit([create(`/node-${index}`, 'old', true)])
  await (await ensemble.leader()).kill()
  for (const [index, session] of sessions.entries()) {
    let outcome: CommitOutcome = { kind: 'unknown' }
    // Unknown while there is no leader; committed again, it is applied or was.
    while (outcome.kind === 'unknown')
      outcome = await session.commit([set(`/node-${index}`, 'new', 1)])
    assert.deepEqual(await seen(session, `/node-${index}`), ['new', 2])
    assert.equal((await session.read(`/node-${index}`))?.ephemeral, true)
  }
})
