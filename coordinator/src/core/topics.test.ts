import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { asMqError, isMqError, type MqError } from '@popmq/protocol'
import type { Counters } from './registry-values.ts'
import { type TopicChange, Topics } from './topics.ts'

const none: Counters = { topicId: 0, setId: 0, epoch: 0, producerId: 0, version: 0, groupId: 0 }
const sets = [
  { id: 1, load: 0 },
  { id: 2, load: 0 },
]

/** Topics whose writes all succeed at once. */
class Written {
  readonly topics = new Topics()
  counters = none

  create(name: string, partitions = 2): TopicChange {
    const change = this.topics.prepareCreate(
      { name, partitions },
      { counters: this.counters, sets, nowMs: 7 },
    )
    this.#count(change)
    this.topics.created(change)
    return change
  }

  set(
    name: string,
    request: { partitions?: number; config?: Record<string, string> },
  ): TopicChange {
    const change = this.topics.prepareSet({ name, ...request }, { counters: this.counters, sets })
    this.#count(change)
    this.topics.changed(change)
    return change
  }

  remove(name: string): TopicChange {
    const change = this.topics.prepareDelete(name, { counters: this.counters })
    this.#count(change)
    this.topics.removed(change)
    return change
  }

  #count({ counters }: TopicChange): void {
    this.counters = { ...this.counters, ...counters }
  }
}

function refused(name: MqError['name'], pattern: RegExp): (error: unknown) => boolean {
  return (error) => isMqError(error, name) && pattern.test(error.what)
}

void test('a name that a user may not give is refused', () => {
  const written = new Written()
  const bad = [
    '',
    '..',
    '../x',
    'a/b',
    '%2e%2e',
    'x'.repeat(128),
    '%RETRY%g',
    'é',
    '<img src=x onerror=1>',
    '=cmd()',
    '\u001b[31m',
    'a\nb',
    '-a',
    '.a',
  ]
  for (const name of bad)
    assert.throws(() => written.create(name), refused('invalid_name', /topic name/), name)
  assert.throws(() => written.create('_audit'), refused('invalid_name', /begins with _/))
  assert.equal(written.topics.size, 0)
  written.create('CON')
})

void test('a name is taken once, in whatever letters', () => {
  const written = new Written()
  written.create('Orders')
  assert.throws(() => written.create('Orders'), refused('topic_exists', /^topic "Orders" exists$/))
  assert.throws(
    () => written.create('orders'),
    refused('topic_exists', /more than capital letters/),
  )
  assert.throws(() => written.remove('orders'), refused('topic_not_found', /there is "Orders"/))
})

void test('a topic shows in routes when it is settled, and busy until then', () => {
  const all = new Written()
  const created = all.create('a')
  assert.deepEqual(all.topics.shown(), [])
  assert.throws(
    () => all.set('a', { config: { retention: '1h' } }),
    refused('topic_busy', /not reached all brokers/),
  )
  assert.throws(() => all.remove('a'), refused('topic_busy', /not reached all brokers/))
  all.topics.settle(created)
  assert.deepEqual(all.topics.shown(['a', 'A', 'b', 'a']), [created.info])
  const changed = all.set('a', { partitions: 3 })
  assert.deepEqual(all.topics.shown(), [created.info])
  all.topics.settle(changed)
  assert.deepEqual(all.topics.shown(), [changed.info])
})

void test('partitions are added behind the others, never taken away', () => {
  const written = new Written()
  const created = written.create('a', 3)
  written.topics.settle(created)
  const changed = written.set('a', { partitions: 6 })
  assert.deepEqual(changed.info.sets.slice(0, 3), created.info.sets)
  assert.equal(changed.info.sets.length, 6)
  written.topics.settle(changed)
  assert.throws(
    () => written.set('a', { partitions: 5 }),
    refused('invalid_config', /added, not removed/),
  )
})

void test('a topic made again under its name is another topic', () => {
  const written = new Written()
  const first = written.create('a')
  written.topics.settle(first)
  written.remove('a')
  const second = written.create('a')
  assert.equal(second.info.id, first.info.id + 1)
  written.topics.settle(first)
  assert.deepEqual(
    written.topics.shown(),
    [],
    'the change of the first incarnation does not settle the second',
  )
})

void test('without a set there is nowhere to put a topic', () => {
  const topics = new Topics()
  const create = (): unknown =>
    topics.prepareCreate({ name: 'a', partitions: 1 }, { counters: none, sets: [], nowMs: 0 })
  assert.throws(create, refused('no_brokers', /no broker/))
})

void test('whatever is done, ids and versions only grow, and a set hears of every change of its topics', () => {
  const step = fc.record({
    kind: fc.constantFrom('create', 'set', 'remove'),
    name: fc.constantFrom('a', 'b', 'c'),
    partitions: fc.integer({ min: 1, max: 4 }),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const written = new Written()
      const ids = new Set<number>()
      for (const { kind, name, partitions } of steps) {
        const before = {
          version: written.counters.version,
          ofSet: [1, 2].map((set) => JSON.stringify(written.topics.ofSet(set))),
        }
        try {
          const change =
            kind === 'create'
              ? written.create(name, partitions)
              : kind === 'set'
                ? written.set(name, { partitions })
                : written.remove(name)
          assert.equal(change.version, before.version + 1)
          if (kind === 'create') assert.ok(!ids.has(change.info.id))
          ids.add(change.info.id)
          written.topics.settle(change)
        } catch (error) {
          assert.ok(
            ['topic_exists', 'topic_not_found', 'invalid_config'].includes(asMqError(error).name),
            String(error),
          )
        }
        for (const [index, was] of before.ofSet.entries()) {
          if (JSON.stringify(written.topics.ofSet(index + 1)) === was) continue
          assert.ok(written.topics.changedSince(index + 1, before.version))
        }
        assert.ok(!written.topics.changedSince(1, written.counters.version))
      }
    }),
  )
})

void test('what was read from the registry counts as changed for every earlier version', () => {
  const topics = new Topics()
  topics.restore(
    {
      name: 'a',
      id: 3 as never,
      sets: [1],
      policy: { retentionMs: 0, maxBytes: 0, maxMessageBytes: 1, dedupWindowMs: 0, replicas: 1 },
      createdAt: 0,
    },
    4,
  )
  topics.restored(9)
  assert.ok(topics.changedSince(1, 8) && topics.changedSince(2, 0))
  assert.ok(!topics.changedSince(1, 9))
  const change = topics.prepareSet(
    { name: 'a', config: { retention: '1h' } },
    { counters: { ...none, version: 9 }, sets },
  )
  assert.deepEqual(
    change.ops.map((op) => [op.kind, op.path, 'version' in op && op.version]),
    [['set', '/topics/a', 4]],
  )
})
