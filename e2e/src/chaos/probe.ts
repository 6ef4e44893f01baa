import { readFile } from 'node:fs/promises'
import type { RoleProcess } from '../harness/role-process.ts'

/** A process that does not answer in this time is taken for gone or stopped. */
const answerWithinMs = 200

/** @returns whether anything answers `/readyz` within 200 ms, whatever it says */
export async function answers(role: RoleProcess): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(answerWithinMs)
    const response = await fetch(`http://${role.address}/readyz`, { signal })
    await response.arrayBuffer()
    return true
  } catch (error) {
    // TypeError: nobody listens, or the connection broke.
    if (error instanceof TypeError || (error instanceof Error && error.name === 'TimeoutError'))
      return false
    throw error
  }
}

/** @returns whether the kernel says that the process is stopped by a signal; undefined where it cannot be asked */
export async function isStopped(role: RoleProcess): Promise<boolean | undefined> {
  const pid = [...role.output.matchAll(/"pid":(\d+)/g)].at(-1)?.[1]
  if (pid === undefined) return undefined
  try {
    const status = await readFile(`/proc/${pid}/status`, 'utf8')
    return /^State:\s+T/m.test(status)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
