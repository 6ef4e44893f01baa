import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GroupDescription, GroupPolicyDescription } from '@popmq/client'
import { FakeClient } from '../testing/fake-client.ts'
import { transcript } from '../testing/fake-surroundings.ts'

const policy: GroupPolicyDescription = {
  assignor: 'sticky',
  sessionMs: 6_000,
  maxAttempts: 16,
  backoff: 'exp:1s..10m',
  invisibleMs: 30_000,
  order: 'none',
  onFailure: 'park',
  deadRetentionMs: 1_209_600_000,
  outageBrake: 'on',
  maxInFlight: 0,
  maxInFlightPerConsumer: 0,
}

const described: GroupDescription = {
  name: 'billing',
  id: 4,
  state: 'stable',
  members: 1,
  topics: [
    { name: 'orders', mode: 'pull', isPaused: false },
    { name: 'parcels', mode: 'pull', tags: ['eu', 'us'], isPaused: true },
  ],
  policy,
  memberList: [
    {
      memberId: 'm1',
      client: 'host:7',
      remote: '127.0.0.1:5000',
      state: 'live',
      joinedAt: Date.UTC(2026, 0, 1),
      topics: ['orders'],
      partitions: [
        { topic: 'orders', partition: 0, epoch: 3 },
        { topic: 'orders', partition: 2, epoch: 5 },
      ],
      revoking: [],
    },
  ],
  progress: [{ topic: 'orders', partition: 0, offset: 12 }],
}

void test('group list is a table, and one object a line with --json', async () => {
  const list = async () => [described]
  const client = new FakeClient({ groups: { list } })
  const { stdout } = await transcript('group list', { client })
  assert.equal(
    stdout,
    [
      'group    state   members  topics',
      'billing  stable        1  orders, parcels (tags eu us; paused)',
      '',
    ].join('\n'),
  )
  const json = await transcript('group list --json', { client })
  assert.equal((JSON.parse(json.stdout) as { name: string }).name, 'billing')
  const none = new FakeClient({ groups: { list: async () => [] } })
  assert.equal(
    (await transcript('group list', { client: none })).stdout,
    'no groups yet: popmq consume TOPIC --group NAME, or popmq pop\n',
  )
})

void test('group describe shows policy and members', async () => {
  const client = new FakeClient({ groups: { describe: async () => described } })
  const { stdout } = await transcript('group describe billing', { client })
  assert.equal(
    stdout,
    [
      'billing: stable, 1 member, reads orders, parcels (tags eu us; paused)',
      'assignor sticky, sessionTimeout 6s',
      'maxAttempts 16, backoff exp:1s..10m, invisible 30s',
      'order none, onFailure park, deadRetention 14d, outageBrake on',
      'maxInFlight any, maxInFlightPerConsumer any',
      'member  id  state  client  address         partitions  giving back',
      '-       m1  live   host:7  127.0.0.1:5000  orders 0 2  -',
      '',
    ].join('\n'),
  )
  const json = await transcript('group describe billing --json', { client })
  assert.deepEqual(JSON.parse(json.stdout), described)
})

void test('a group that pops has no members, and says so', async () => {
  const topics = [{ name: 'orders', mode: 'pop', isPaused: false }] as const
  const popped = { ...described, state: 'empty', members: 0, memberList: [], topics } as const
  const client = new FakeClient({
    groups: { describe: async () => popped, list: async () => [popped] },
  })
  const { stdout } = await transcript('group describe billing', { client })
  assert.match(stdout, /^billing: empty, 0 members, reads orders \(pop\)\n/)
  assert.match(stdout, /\nno members: messages are popped by whoever asks\n$/)
  const list = await transcript('group list', { client })
  assert.match(list.stdout, /^billing {2}empty +0 {2}orders \(pop\)$/m)
})

void test('group config shows the policy, or sets keys of it', async () => {
  const client = new FakeClient({
    groups: { config: async () => policy, setConfig: async () => policy },
  })
  const { stdout } = await transcript('group config g --json', { client })
  assert.deepEqual(JSON.parse(stdout), policy)
  await transcript('group config g assignor=range sessionTimeout=10s', { client })
  assert.deepEqual(client.asked, [
    { what: 'config', given: ['g', {}] },
    { what: 'setConfig', given: ['g', { assignor: 'range', sessionTimeout: '10s' }, {}] },
  ])
})

void test('group reset asks on a terminal unless it is a dry run', async () => {
  const resetProgress = async () => [
    { partition: 0, from: 12, to: 4 },
    { partition: 1, to: 0 },
  ]
  const client = new FakeClient({ groups: { resetProgress } })
  const refused = await transcript('group reset g orders --to 4', { client, answer: false })
  assert.deepEqual([refused.exitCode, client.asked], [1, []])
  const dry = await transcript('group reset g orders --to -1h --dry-run', { client, answer: false })
  assert.equal(
    dry.stdout,
    'partition  from  to\n        0  12     4\n        1  -      0\nnothing was changed\n',
  )
  const done = await transcript('group reset g orders --to earliest --yes --json', {
    client,
    answer: false,
  })
  assert.equal(
    done.stdout.split('\n')[1],
    '{"topic":"orders","partition":1,"from":null,"to":0,"dryRun":false}',
  )
  const [first, second] = client.asked.map(({ given }) => given)
  const { operator } = (first?.[2] ?? {}) as { operator?: string }
  assert.match(operator ?? '', /^[^@]+@[^@]+$/, 'who asks is told')
  assert.deepEqual(first, [
    'g',
    'orders',
    { to: new Date(Date.UTC(2025, 11, 31, 23)), dryRun: true, operator },
  ])
  assert.deepEqual(second, ['g', 'orders', { to: 'earliest', dryRun: false, operator }])
})

void test('group pause and resume take one topic or all', async () => {
  const all = described.topics
  const client = new FakeClient({ groups: { pause: async () => [...all], resume: async () => [] } })
  const { stdout } = await transcript('group pause g parcels', { client })
  assert.equal(stdout, 'topic    state\norders   delivering\nparcels  paused\n')
  await transcript('group resume g', { client })
  assert.deepEqual(client.asked, [
    { what: 'pause', given: ['g', { topic: 'parcels' }] },
    { what: 'resume', given: ['g', {}] },
  ])
})

void test('group members and rebalances name who has what, and how long nobody had it', async () => {
  const rebalance = {
    number: 3,
    at: Date.UTC(2026, 0, 1),
    triggers: ['member_joined', 'member_left'],
    assignor: 'sticky',
    members: 2,
    partitions: 8,
    moves: [
      { topic: 'orders', partition: 1, epoch: 4, from: 'm1', to: 'm2', darkMs: 12 },
      { topic: 'orders', partition: 2, epoch: 4, to: 'm2' },
    ],
  }
  const client = new FakeClient({
    groups: { members: async () => [], rebalances: async () => [rebalance] },
  })
  assert.equal((await transcript('group members g', { client })).stdout, 'no members\n')
  const { stdout } = await transcript('group rebalances g --limit 5', { client })
  assert.match(
    stdout,
    /^ +3 {2}2026-01-01T00:00:00.000Z .* 2 {2}12ms .*member_joined member_left$/m,
  )
  assert.deepEqual(client.asked.at(-1), { what: 'rebalances', given: ['g', { limit: 5 }] })
})

void test('group delete asks on a terminal, and no is no', async () => {
  const client = new FakeClient({ groups: { delete: async () => undefined } })
  const refused = await transcript('group delete g', { client, answer: false })
  assert.deepEqual([refused.exitCode, client.asked], [1, []])
  assert.equal((await transcript('group delete g', { client })).stdout, 'deleted g\n')
})

void test('what a group command does not take is wrong usage', async () => {
  const expected: [string, RegExp][] = [
    ['group reset g orders', /required option '--to <position>'/],
    ['group reset g --to 4', /missing required argument 'topic'/],
    ['group reset g orders --to soon', /"soon" is not a time/],
    ['group config g asignor=range', /unknown key "asignor": did you mean assignor\?/],
    ['group config g assignor', /not of the form key=value/],
    ['group rebalances g --limit 101', /--limit: "101" is not a whole number from 1 to 100/],
    ['group lags g', /unknown command group lags .*did you mean lag\?/],
    ['group describe', /missing required argument 'group'/],
  ]
  for (const [line, what] of expected) {
    const { exitCode, stderr } = await transcript(line)
    assert.match(stderr, what)
    assert.equal(exitCode, 2, line)
  }
})
