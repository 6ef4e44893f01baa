import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sleep } from '@popmq/kit'
import { Scheduler, SeededRandom } from '@popmq/kit/testing'
import { isMqError, MqError } from '@popmq/protocol'
import { CoordinatorList } from './coordinator-list.ts'
import { Election, electionPath, type Standing } from './election.ts'
import type { RegistrySession } from './registry-port.ts'
import { RegistryTree, touchedPaths } from './registry-tree.ts'
import { encodeValue } from './registry-values.ts'

/** One tree, sessions by number, watches that are told at once after a commit. */
class Shared {
  readonly scheduler = new Scheduler()
  readonly tree = new RegistryTree()
  readonly #watches = new Set<{ readonly path: string; readonly onChange: () => void }>()
  /** How long a request is under way. */
  latencyMs = 0
  commits = 0

  session(number: number): RegistrySession {
    return {
      read: async (path) => {
        await this.#travel()
        return this.tree.read(path)
      },
      children: async (path) => this.tree.children(path),
      commit: async (ops) => {
        await this.#travel()
        this.commits += 1
        const outcome = this.tree.commit(ops, number)
        if (outcome.kind === 'applied') this.#tell(touchedPaths(ops))
        return outcome
      },
      watch: (path, onChange) => {
        const watch = { path, onChange }
        this.#watches.add(watch)
        return () => void this.#watches.delete(watch)
      },
      close: async () => this.end(number),
    }
  }

  get watches(): number {
    return this.#watches.size
  }

  end(number: number): void {
    for (const path of this.tree.ephemerals(number)) {
      this.tree.commit([{ kind: 'remove', path }], 0)
      this.#tell(touchedPaths([{ kind: 'remove', path }]))
    }
  }

  async #travel(): Promise<void> {
    if (this.latencyMs > 0) await sleep(this.scheduler, this.latencyMs)
  }

  #tell(paths: Iterable<string>): void {
    for (const path of paths)
      for (const watch of this.#watches)
        if (watch.path === path) this.scheduler.after(0, watch.onChange)
  }
}

interface Entered {
  readonly standings: Standing[]
  readonly over: AbortController
  readonly ended: Promise<void>
  /** Virtual time of the win. */
  wonAtMs: number | undefined
  error: unknown
}

/** Candidate `id`, over the session with that number. */
function enter(shared: Shared, id: number, address = `c:${id}`): Entered {
  const over = new AbortController()
  const standings: Standing[] = []
  const election = new Election({
    session: shared.session(id),
    clock: shared.scheduler,
    random: new SeededRandom(id),
    self: { id, address, term: `term-${id}` },
    over: over.signal,
    standby: (standing) => standings.push(standing),
  })
  const entered: Entered = {
    standings,
    over,
    wonAtMs: undefined,
    error: undefined,
    ended: election.won().then(
      () => void (entered.wonAtMs = shared.scheduler.monotonic()),
      (error: unknown) => void (entered.error = error),
    ),
  }
  return entered
}

void test('the first wins at once, the others stand by and are told who leads', async () => {
  const shared = new Shared()
  const first = enter(shared, 1)
  await shared.scheduler.run(0)
  const second = enter(shared, 2)
  await shared.scheduler.run(1_000)
  assert.deepEqual([first.wonAtMs, first.standings], [0, []])
  assert.deepEqual(
    [second.wonAtMs, second.standings],
    [undefined, [{ leader: 'c:1', clusterId: undefined }]],
  )
})

void test('when the node goes one standby wins within the jitter, and they do not all come at once', async () => {
  const shared = new Shared()
  enter(shared, 1)
  await shared.scheduler.run(0)
  const standbys = [2, 3, 4, 5, 6].map((id) => enter(shared, id))
  await shared.scheduler.run(1_000)
  const before = shared.commits
  shared.latencyMs = 5
  shared.end(1)
  await shared.scheduler.run(1_000)
  const won = standbys.filter(({ wonAtMs }) => wonAtMs !== undefined)
  assert.equal(won.length, 1)
  assert.ok((won[0]?.wonAtMs ?? 0) <= 1_200)
  const tries = shared.commits - before
  assert.ok(tries >= 1 && tries <= 2, `${tries} tries`)
  const leader = JSON.parse(
    new TextDecoder().decode(shared.tree.read(electionPath)?.value),
  ) as Record<string, unknown>
  for (const { standings, wonAtMs } of standbys)
    if (wonAtMs === undefined) assert.equal(standings.at(-1)?.leader, leader['address'])
})

void test('what its own last session left is neither a win nor a leader to name', async () => {
  const shared = new Shared()
  enter(shared, 1, 'c:7700')
  await shared.scheduler.run(0)
  const again = enter(shared, 2, 'c:7700')
  await shared.scheduler.run(1_000)
  assert.equal(again.wonAtMs, undefined)
  assert.equal(again.standings.at(-1)?.leader, undefined)
  shared.end(1)
  await shared.scheduler.run(1_000)
  assert.ok(again.wonAtMs !== undefined)
})

void test('a standby learns the cluster once there is one', async () => {
  const shared = new Shared()
  enter(shared, 1)
  await shared.scheduler.run(0)
  const standby = enter(shared, 2)
  await shared.scheduler.run(10)
  const value = encodeValue({ format: 1, clusterId: 'abc' })
  await shared.session(1).commit([{ kind: 'create', path: '/cluster', value }])
  await shared.scheduler.run(10)
  assert.deepEqual(standby.standings.at(-1), { leader: 'c:1', clusterId: 'abc' })
})

void test('it ends with its session, with the reason, and watches nothing any more', async () => {
  const shared = new Shared()
  enter(shared, 1)
  await shared.scheduler.run(0)
  const standby = enter(shared, 2)
  await shared.scheduler.run(10)
  standby.over.abort(new MqError('registry_unavailable', 'expired'))
  await standby.ended
  assert.ok(isMqError(standby.error, 'registry_unavailable'))
  shared.end(1)
  await shared.scheduler.run(1_000)
  assert.equal(shared.tree.read(electionPath), undefined)
  assert.equal(shared.watches, 0)
})

void test('a registry of a later layout is refused by a standby too', async () => {
  const shared = new Shared()
  enter(shared, 1)
  await shared.scheduler.run(0)
  const value = encodeValue({ format: 99, clusterId: 'abc' })
  await shared.session(1).commit([{ kind: 'create', path: '/cluster', value }])
  const standby = enter(shared, 2)
  await standby.ended
  assert.ok(isMqError(standby.error, 'newer_format'))
})

function list(shared: Shared, number: number, id = number) {
  const over = new AbortController()
  const self = { id, address: `c:${number}`, term: `term-${number}` }
  const options = { session: shared.session(number), clock: shared.scheduler, self }
  const coordinators = new CoordinatorList({ ...options, over: over.signal })
  return { coordinators, over, ended: coordinators.keep() }
}

void test('coordinators list themselves, and go with their sessions', async () => {
  const shared = new Shared()
  const lists = [1, 2, 10].map((number) => list(shared, number))
  await shared.scheduler.run(5_000)
  for (const { coordinators } of lists)
    assert.deepEqual(
      coordinators.all.map(({ address }) => address),
      ['c:1', 'c:2', 'c:10'],
    )
  shared.end(2)
  await shared.scheduler.run(10)
  // The second one, whose session lives on in this test, comes back.
  await shared.scheduler.run(5_000)
  assert.equal(lists[0]?.coordinators.all.length, 3)
  for (const { over } of lists) over.abort()
  await Promise.all(lists.map(({ ended }) => ended))
  assert.equal(shared.watches, 0)
})

void test('of two with one id the later one is listed when the first has gone', async () => {
  const shared = new Shared()
  const first = list(shared, 1)
  await shared.scheduler.run(5_000)
  const second = list(shared, 2, 1)
  await shared.scheduler.run(5_000)
  const addresses = (): string[] => second.coordinators.all.map(({ address }) => address)
  assert.deepEqual(addresses(), ['c:1'])
  first.over.abort()
  shared.end(1)
  await shared.scheduler.run(5_000)
  assert.deepEqual(addresses(), ['c:2'])
})
