import { arch, availableParallelism, cpus, release, totalmem, type } from 'node:os'

/** Where numbers were measured: without it they say nothing. */
export interface Machine {
  readonly system: string
  readonly processor: string
  readonly threads: number
  readonly memoryGiB: number
  readonly node: string
}

export function thisMachine(): Machine {
  return {
    system: `${type()} ${release()} ${arch()}`,
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    threads: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
  }
}
