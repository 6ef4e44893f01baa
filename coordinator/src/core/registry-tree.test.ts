import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parentOf, type RegistryOp } from './registry-port.ts'
import { RegistryTree } from './registry-tree.ts'

/** The plainest tree: everything is looked for in a list, a commit works on a copy. */
interface PlainNode {
  readonly path: string
  readonly value: string
  readonly version: number
  readonly owner: number
}

function plainStep(nodes: PlainNode[], op: RegistryOp, session: number): PlainNode[] | string {
  const node = nodes.find(({ path }) => path === op.path)
  if (op.kind === 'create') {
    if (node !== undefined) return 'exists'
    const parent =
      op.path.lastIndexOf('/') === 0
        ? { owner: 0 }
        : nodes.find(({ path }) => path === parentOf(op.path))
    if (parent === undefined) return 'missing'
    if (parent.owner !== 0) return 'children'
    return [
      ...nodes,
      {
        path: op.path,
        value: text(op.value),
        version: 1,
        owner: op.ephemeral === true ? session : 0,
      },
    ]
  }
  if (node === undefined) return 'missing'
  if (op.version !== undefined && op.version !== node.version) return 'version'
  const others = nodes.filter(({ path }) => path !== op.path)
  if (op.kind === 'check') return nodes
  if (op.kind === 'set')
    return [...others, { ...node, value: text(op.value), version: node.version + 1 }]
  return nodes.some(({ path }) => path.startsWith(`${op.path}/`)) ? 'children' : others
}

const text = (value: Uint8Array): string => new TextDecoder().decode(value)
const sorted = (nodes: readonly PlainNode[]): PlainNode[] =>
  nodes.toSorted((a, b) => (a.path < b.path ? -1 : 1))

const path = fc.constantFrom('/a', '/b', '/a/x', '/a/y', '/b/x', '/a/x/deep', '/a-b')
const value = fc.string({ maxLength: 4 }).map((some) => new TextEncoder().encode(some))
const version = fc.integer({ min: 1, max: 3 })
const op: fc.Arbitrary<RegistryOp> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('create' as const),
      path,
      value,
      ephemeral: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record(
      { kind: fc.constant('set' as const), path, value, version },
      { requiredKeys: ['kind', 'path', 'value'] },
    ),
  },
  {
    weight: 1,
    arbitrary: fc.record(
      { kind: fc.constant('remove' as const), path, version },
      { requiredKeys: ['kind', 'path'] },
    ),
  },
  {
    weight: 1,
    arbitrary: fc.record(
      { kind: fc.constant('check' as const), path, version },
      { requiredKeys: ['kind', 'path'] },
    ),
  },
)
const commits = fc.array(
  fc.record({
    ops: fc.array(op, { minLength: 1, maxLength: 4 }),
    session: fc.integer({ min: 1, max: 2 }),
  }),
  { maxLength: 25 },
)

void test('the tree does what the plainest tree does, and a rejected commit leaves no trace', () => {
  fc.assert(
    fc.property(commits, (all) => {
      const tree = new RegistryTree()
      let plain: PlainNode[] = []
      for (const { ops, session } of all) {
        let next: PlainNode[] | undefined = plain
        let expected: object = { kind: 'applied' }
        for (const [index, one] of ops.entries()) {
          const stepped: PlainNode[] | string = plainStep(next, one, session)
          if (typeof stepped === 'string') {
            expected = { kind: 'rejected', index, reason: stepped }
            next = undefined
            break
          }
          next = stepped
        }
        plain = next ?? plain
        assert.deepEqual(tree.commit(ops, session), expected)
        const found = tree.nodes().map((node) => ({ ...node, value: text(node.value) }))
        assert.deepEqual(found, sorted(plain))
        for (const { path: parent } of plain) {
          const names = plain.filter(({ path: child }) => parentOf(child) === parent)
          assert.deepEqual(
            tree.children(parent),
            sorted(names).map(({ path: child }) => child.slice(parent.length + 1)),
          )
        }
        const ephemeral = sorted(plain.filter(({ owner }) => owner === session))
        assert.deepEqual(
          tree.ephemerals(session),
          ephemeral.map(({ path: own }) => own),
        )
      }
    }),
    { numRuns: 500 },
  )
})

void test('a tree put together from its nodes is the same tree', () => {
  fc.assert(
    fc.property(commits, (all) => {
      const tree = new RegistryTree()
      for (const { ops, session } of all) tree.commit(ops, session)
      const copy = new RegistryTree()
      for (const node of tree.nodes()) copy.restore(node)
      assert.deepEqual(copy.nodes(), tree.nodes())
      assert.deepEqual(copy.children('/'), tree.children('/'))
    }),
  )
})

void test('a path or a commit beyond the limits is a defect', () => {
  const tree = new RegistryTree()
  const create = (where: string, bytes = 0): RegistryOp => ({
    kind: 'create',
    path: where,
    value: new Uint8Array(bytes),
  })
  for (const bad of ['', 'a', '/a/', '//a', '/..', '/.', '/a b', '/-a']) {
    assert.throws(() => tree.commit([create(bad)], 1), /a registry path is/)
  }
  assert.throws(() => tree.commit([create('/a', 512 * 1_024 + 1)], 1), /at most 512 KiB/)
  assert.throws(
    () => tree.commit([create('/a', 200_000), create('/b', 200_000)], 1),
    /at most 256 KiB/,
  )
})
