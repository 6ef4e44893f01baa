import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLog } from '@popmq/kit'
import fc from 'fast-check'
import type { Reply, Start } from './connection.ts'
import { errorCodes, type LibraryClient, type WatchEvent } from './library.ts'
import { WatchSet } from './watch-set.ts'

type Watcher = ((event: WatchEvent) => void) | undefined

/** ZooKeeper as far as watches go: they fire once, and are gone with their connection. */
class WatchedTree {
  /** How often the node or its children have changed. */
  readonly changes = new Map<string, number>()
  readonly #nodes = new Set<string>()

  has(path: string): boolean {
    return this.#nodes.has(path)
  }

  /** Makes or removes the node, or changes its children if `isBelow` and it is there. */
  change(connection: FakeConnection, path: string, isBelow: boolean): void {
    this.changes.set(path, (this.changes.get(path) ?? 0) + 1)
    if (isBelow && this.has(path)) return connection.fire(path, ['children'])
    if (!this.#nodes.delete(path)) this.#nodes.add(path)
    connection.fire(path, ['node', 'children'])
  }
}

/** Requests reach the server one by one, replies and events the client in the order they were made. */
class FakeConnection {
  readonly #tree: WatchedTree
  readonly #requests: (() => void)[] = []
  readonly #replies: (() => void)[] = []
  readonly #watches = new Map<string, Watcher>()
  readonly #unanswered = new Set<() => void>()

  constructor(tree: WatchedTree) {
    this.#tree = tree
  }

  send<T>(start: Start<T>, settle: (reply: Reply<T>) => void): void {
    const abandon = (): void => settle({ kind: 'unanswered', why: 'cut' })
    this.#unanswered.add(abandon)
    const ask = (path: string, watcher: Watcher, kind: 'node' | 'children'): void => {
      this.#requests.push(() => {
        const isThere = this.#tree.has(path)
        if (kind === 'node' || isThere) this.#watches.set(`${kind} ${path}`, watcher)
        this.#replies.push(() => {
          this.#unanswered.delete(abandon)
          const isRefused = kind === 'children' && !isThere
          // The value is of no interest to watches.
          const value = undefined as T
          if (!isRefused) settle({ kind: 'answered', value })
          else settle({ kind: 'refused', code: errorCodes.noNode, text: 'NO_NODE', value })
        })
      })
    }
    const client: Pick<LibraryClient, 'exists' | 'getChildren'> = {
      exists: (path, watcher) => ask(path, watcher, 'node'),
      getChildren: (path, watcher) => ask(path, watcher, 'children'),
    }
    start(client as LibraryClient, () => undefined)
  }

  drop(): void {
    throw new Error('nothing here is refused')
  }

  fire(path: string, kinds: readonly string[]): void {
    for (const kind of kinds) {
      const watcher = this.#watches.get(`${kind} ${path}`)
      if (!this.#watches.delete(`${kind} ${path}`)) continue
      this.#replies.push(() => watcher?.({ path }))
    }
  }

  serve(): boolean {
    const request = this.#requests.shift()
    request?.()
    return request !== undefined
  }

  deliver(): boolean {
    const reply = this.#replies.shift()
    reply?.()
    return reply !== undefined
  }

  end(): void {
    for (const abandon of this.#unanswered) abandon()
  }
}

interface Listening {
  readonly path: string
  readonly since: number
  readonly stop: () => void
  isStopped: boolean
  told: number
  toldAt: number
}

class WatchWorld {
  readonly tree = new WatchedTree()
  readonly watches = new WatchSet(silentLog, 2)
  readonly listening: Listening[] = []
  connection: FakeConnection | undefined

  watch(path: string): void {
    const since = this.changesOf(path)
    const stop = this.watches.watch(path, () => {
      one.told += 1
      one.toldAt = this.changesOf(path)
    })
    const one: Listening = {
      path,
      since,
      stop,
      isStopped: false,
      told: 0,
      toldAt: since,
    }
    this.listening.push(one)
  }

  changesOf(path: string): number {
    return this.tree.changes.get(path) ?? 0
  }

  stop(index: number): void {
    const one = this.listening[index % Math.max(1, this.listening.length)]
    if (one === undefined) return
    one.isStopped = true
    one.stop()
  }

  reconnect(): void {
    this.connection?.end()
    this.watches.disconnected()
    this.connection = new FakeConnection(this.tree)
    this.watches.connected(this.connection)
  }

  async settle(): Promise<void> {
    if (this.connection === undefined) this.reconnect()
    do await Promise.resolve()
    while (this.connection?.serve() === true || this.connection?.deliver() === true)
    await Promise.resolve()
  }
}

const step = fc.oneof(
  fc.record({
    kind: fc.constantFrom('watch', 'stop', 'make', 'below'),
    index: fc.nat(5),
    path: fc.constantFrom('/a', '/b', '/c'),
  }),
  fc.record({
    kind: fc.constantFrom('serve', 'serve', 'serve', 'deliver', 'deliver', 'deliver', 'reconnect'),
  }),
)

void test('whoever watches is told after the last change, over any number of connections', async () => {
  const property = fc.asyncProperty(
    fc.array(step, { minLength: 20, maxLength: 80 }),
    async (steps) => {
      const world = new WatchWorld()
      for (const one of steps) {
        await Promise.resolve()
        carryOut(world, one)
      }
      await world.settle()
      for (const { path, since, toldAt, isStopped } of world.listening) {
        if (!isStopped && world.changesOf(path) > since) assert.equal(toldAt, world.changesOf(path))
      }
    },
  )
  await fc.assert(property, { numRuns: 300 })
})

function carryOut(world: WatchWorld, one: { kind: string; path?: string; index?: number }): void {
  const { kind, path = '', index = 0 } = one
  if (kind === 'watch') world.watch(path)
  else if (kind === 'stop') world.stop(index)
  else if (kind === 'serve') world.connection?.serve()
  else if (kind === 'deliver') world.connection?.deliver()
  else if (kind === 'reconnect') world.reconnect()
  else world.tree.change(world.connection ?? new FakeConnection(world.tree), path, kind === 'below')
}

void test('a path that nobody listens to any more is not watched again', async () => {
  const world = new WatchWorld()
  world.reconnect()
  world.watch('/a')
  await world.settle()
  world.stop(0)
  world.tree.change(world.connection ?? new FakeConnection(world.tree), '/a', false)
  assert.equal(world.connection?.deliver(), true)
  assert.equal(world.connection?.serve(), false)
})

void test('who stops in the turn in which it is to be told is not told', async () => {
  const world = new WatchWorld()
  world.reconnect()
  world.watch('/a')
  world.watch('/a')
  while (world.connection?.serve() === true || world.connection?.deliver() === true) continue
  world.stop(0)
  await Promise.resolve()
  assert.deepEqual(
    world.listening.map(({ told }) => told),
    [0, 1],
  )
})
