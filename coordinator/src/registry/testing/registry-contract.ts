import { test } from 'node:test'
import { commitContract, nodeContract, refusalContract } from './node-contract.ts'
import { type RegistryCase, type RegistrySubject, unexpected } from './registry-case.ts'
import { sessionContract, watchContract } from './session-contract.ts'

/**
 * What every registry must do. Nothing here looks at a clock: what comes late, as a watch may, is awaited. An outcome
 * `unknown` is not expected: the subject's registry is well.
 */
export function registryContract(name: string, make: () => Promise<RegistrySubject>): void {
  const fact = (sentence: string, check: (one: RegistryCase) => Promise<void>): void => {
    void test(`${name} registry: ${sentence}`, async () => {
      const subject = await make()
      try {
        const session = await subject.openSession(unexpected)
        await check({ subject, session, other: await subject.openSession(unexpected) })
      } finally {
        await subject.close()
      }
    })
  }
  nodeContract(fact)
  refusalContract(fact)
  commitContract(fact)
  sessionContract(fact)
  watchContract(fact)
}
