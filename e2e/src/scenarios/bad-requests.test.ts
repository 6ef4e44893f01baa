/** What users get wrong, over the wire and on the command line: a named error with its mend, and the others are served on. */
import assert from 'node:assert/strict'
import { type Client, isMqError, type Jump } from '@popmq/client'
import { Cluster } from '../harness/cluster.ts'
import { type CliResult, popmq } from '../harness/popmq.ts'
import { consumeAll } from '../harness/reading.ts'
import { scenario } from '../harness/scenario.ts'

function assertError({ code, stdout, stderr }: CliResult, name: string, exitCode = 1): void {
  assert.equal(code, exitCode, stderr)
  assert.match(stderr, new RegExp(`^error ${name}: .+ \\(.+\\)\\n$`))
  assert.equal(stdout.includes('error'), false, 'errors go to stderr')
  // Nothing that came from outside may move the cursor or colour a terminal.
  assert.doesNotMatch(stderr.trimEnd(), /\p{Cc}/u)
}

async function clientWithTen(cluster: Cluster): Promise<Client> {
  await cluster.done('topic', 'create', 'orders', '--partitions', '1', 'maxMessageBytes=1024')
  const client = await cluster.connect()
  const messages = Array.from({ length: 10 }, (_, index) => ({
    topic: 'orders',
    value: { id: `m${index}` },
  }))
  await client.producer().sendBatch(messages)
  await client.admin().purgeTopic('orders', { before: 3 })
  return client
}

scenario(
  'an offset out of range is told with the bounds, and only a chosen policy jumps, out loud',
  async (scene) => {
    const cluster = await Cluster.start(scene)
    const client = await clientWithTen(cluster)
    const place = { topic: 'orders', partition: 0 }
    for (const offset of [0, 2, 11, 2 ** 52]) {
      await using consumer = client.pullConsumer({ partitions: [place], from: offset })
      await assert.rejects(consumer.receive(), (error) => {
        assert.ok(isMqError(error, 'offset_out_of_range'), String(error))
        assert.deepEqual([error.facts['low'], error.facts['high']], [3, 10])
        assert.match(error.message, /3.*10/)
        return true
      })
    }
    for (const [policy, from, first] of [
      ['earliest', 0, 3],
      ['earliest', 99, 3],
      ['latest', 0, 10],
    ] as const) {
      const jumps: Jump[] = []
      const onJump = (jump: Jump): void => void jumps.push(jump)
      await using consumer = client.pullConsumer({
        partitions: [place],
        from,
        onOutOfRange: policy,
        onJump,
      })
      const [message] = await consumer.receive({
        max: 1,
        waitMs: policy === 'latest' ? 300 : 10_000,
      })
      assert.equal(message?.offset, first === 10 ? undefined : first)
      assert.deepEqual(jumps, [{ ...place, from, to: first, low: 3, high: 10 }])
    }
    assertError(
      await cluster.popmq('consume', 'orders', '--partition', '0', '--from', '99', '--max', '1'),
      'offset_out_of_range',
    )
    assertError(await cluster.popmq('message', 'at', 'orders', '0', '1'), 'offset_out_of_range')
    const { lines } = await cluster.done('message', 'at', 'orders', '0', '3')
    assert.deepEqual(lines[0]?.['value'], { id: 'm3' })
  },
)

scenario(
  'messages, topics, partitions and ack levels that cannot be are refused by name, and the others are stored',
  async (scene) => {
    const cluster = await Cluster.start(scene)
    await clientWithTen(cluster)
    const lines = [
      '{"id":"small"}',
      JSON.stringify({ id: 'x'.repeat(2_000) }),
      '{"id":"small too"}',
    ]
    const file = await scene.file('lines.ndjson', `${lines.join('\n')}\n`)
    const mixed = await cluster.popmq('produce', 'orders', '--file', file)
    assertError(mixed, 'message_too_large')
    const { seconds: _, ...counts } = mixed.lines.at(-1) ?? {}
    assert.deepEqual(counts, { sent: 3, acked: 2, failed: 1 })

    const refusals: (readonly [string, readonly string[]])[] = [
      ['topic_not_found', ['produce', 'absent', '1']],
      ['topic_not_found', ['consume', 'absent', '--until-idle', '1s']],
      ['topic_not_found', ['topic', 'describe', 'absent']],
      ['topic_not_found', ['topic', 'delete', 'absent', '--yes']],
      ['topic_exists', ['topic', 'create', 'orders']],
      ['partition_not_found', ['produce', 'orders', '1', '--partition', '7']],
      ['partition_not_found', ['consume', 'orders', '--partition', '7', '--until-idle', '1s']],
      ['quorum_unavailable', ['produce', 'orders', '1', '--acks', 'quorum']],
      ['invalid_config', ['topic', 'set', 'orders', 'retention=-5']],
      ['invalid_config', ['topic', 'create', 'more', 'replicas=3']],
      ['invalid_request', ['produce', 'orders', 'not JSON']],
      ['invalid_request', ['produce', 'orders', '{"id":1}', '--key', 'absent']],
    ]
    const results = await Promise.all(refusals.map(([, args]) => cluster.popmq(...args)))
    for (const [index, [name]] of refusals.entries()) {
      const result = results[index]
      assert.ok(result !== undefined)
      assertError(result, name, result.code ?? 1)
      assert.notEqual(result.code, 0)
    }
    const ids = (await consumeAll(cluster, 'orders')).map(
      ({ value }) => (value as { id: string }).id,
    )
    assert.deepEqual(ids.slice(-2), ['small', 'small too'])
    assert.equal(ids.length, 9)
  },
)

scenario('wrong usage ends with 2 and names the nearest word', async () => {
  const wrong: (readonly [readonly string[], RegExp])[] = [
    [['topic', 'create', 'orders', '--partition', '3'], /did you mean --partitions\?/],
    [['produce', 'orders', '1', '--ack', 'disk'], /did you mean --acks\?/],
    [['produce', 'orders', '1', '--acks', 'disc'], /did you mean disk\?/],
    [['topic', 'creat', 'orders'], /did you mean create\?/],
    [['tpic', 'list'], /did you mean topic\?/],
    [['topic', 'create', 'orders', 'retantion=1h'], /did you mean retention\?/],
    [['consume', 'orders', '--max', 'many'], /--max/],
    [['consume', 'orders', '--from', 'yesterday'], /yesterday/],
    [['consume', 'orders', '--until-idle', '-1s'], /--until-idle/],
    [['broker', '--id', '0', '--coordinators', 'h:1', '--data', 'd', '--listen', 'h:2'], /--id/],
    [['broker', '--id', '1'], /--coordinators/],
    [['produce', 'orders'], /--file/],
    [['topic', 'create', 'orders', '--config', 'absent.json'], /absent\.json/],
  ]
  const results = await Promise.all(wrong.map(([args]) => popmq(args)))
  for (const [index, [args, says]] of wrong.entries()) {
    const { code, stdout, stderr } = results[index] ?? {}
    assert.equal(code, 2, `${args.join(' ')}: ${stderr}`)
    assert.match(stderr ?? '', says)
    assert.match(stderr ?? '', /^error invalid_(?:request|config): .+ \(.+\)\n$/)
    assert.equal(stdout, '')
  }
})

const badNames = [
  '',
  '..',
  '../x',
  'a/b',
  '%2e%2e',
  'n'.repeat(128),
  '%RETRY%g',
  '_audit',
  '<img src=x onerror=1>',
  '=cmd()',
  '\u001b[31mred',
  'two\nlines',
  'caf\u00e9',
  'cafe\u0301',
  'a b',
  '.hidden',
  '\u202eevil',
  'nul\u0000'.slice(0, 3) + '\u007f',
]

scenario('names that could deceive a shell, a path or a reader are refused', async (scene) => {
  const cluster = await Cluster.start(scene)
  const results = await Promise.all(badNames.map((name) => cluster.popmq('topic', 'create', name)))
  for (const result of results) assertError(result, 'invalid_name')
  const client = await cluster.connect()
  for (const name of [...badNames, 'nul\u0000', '\ud800']) {
    await assert.rejects(client.admin().createTopic(name), (error) =>
      isMqError(error, 'invalid_name'),
    )
    await assert.rejects(client.producer().send({ topic: name, value: 1 }), (error) =>
      isMqError(error),
    )
  }
  // Strange but fine.
  for (const name of ['CON', 'Orders', 'constructor', 'n'.repeat(127)]) {
    await client.admin().createTopic(name, { partitions: 1 })
    await client.producer().send({ topic: name, value: { id: name } })
    assert.deepEqual(
      (await consumeAll(cluster, name)).map(({ value }) => value),
      [{ id: name }],
    )
  }
  // A twin that differs in capital letters only would deceive a reader.
  assertError(await cluster.popmq('topic', 'create', 'orders'), 'topic_exists')
})
