import { type Clock, sleep } from '@popmq/kit'
import { MqError } from '@popmq/protocol'
import type { Registry, RegistrySession } from '../core/registry-port.ts'

/** A registry whose commits take their time; it counts them, and may have no room. */
export class SlowRegistry implements Registry {
  readonly #inner: Registry
  /** Without one, commits take no time. */
  clock: Clock | undefined
  /** How long a commit takes before it is carried out, and again before it is answered, in ms. */
  commitMs = 0
  commits = 0
  /** No commit is carried out: the disk is full. */
  isFull = false

  constructor(inner: Registry) {
    this.#inner = inner
  }

  async openSession(lost: (reason: Error) => void): Promise<RegistrySession> {
    const session = await this.#inner.openSession(lost)
    return {
      read: (path) => session.read(path),
      children: (path) => session.children(path),
      watch: (path, onChange) => session.watch(path, onChange),
      close: () => session.close(),
      commit: async (ops) => {
        this.commits += 1
        await this.#pass()
        if (this.isFull) throw new MqError('disk_full', 'the disk of the registry is full')
        const outcome = await session.commit(ops)
        await this.#pass()
        return outcome
      },
    }
  }

  close(): Promise<void> {
    return this.#inner.close()
  }

  async #pass(): Promise<void> {
    if (this.clock !== undefined && this.commitMs > 0) await sleep(this.clock, this.commitMs)
  }
}
