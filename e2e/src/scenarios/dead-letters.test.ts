/** From failure to retry to dead letter and back, by the command line, over kills of the broker. */
import assert from 'node:assert/strict'
import type { JsonLine } from '../harness/program.ts'
import { Cluster } from '../harness/cluster.ts'
import { lagSums, type StateSums } from '../harness/group-states.ts'
import { type Scene, scenario } from '../harness/scenario.ts'

const topic = 'orders'
const group = 'mail'
const keys = ['a', 'b', 'c', 'd', 'e', 'f']

class Mail {
  readonly cluster: Cluster

  constructor(cluster: Cluster) {
    this.cluster = cluster
  }

  /** Six messages; who fails waits for an hour, and is dead after two attempts. */
  static async start(scene: Scene): Promise<Mail> {
    const cluster = await Cluster.start(scene)
    await cluster.done('topic', 'create', topic, '--partitions', '2')
    await cluster.done('group', 'config', group, 'maxAttempts=2', 'backoff=1h', 'invisible=1h')
    const file = await scene.file(
      'orders.ndjson',
      keys.map((key) => `${JSON.stringify({ key })}\n`).join(''),
    )
    await cluster.done('produce', topic, '--file', file, '--key', 'key')
    return new Mail(cluster)
  }

  /** @returns what a command told */
  async lines(...args: string[]): Promise<readonly JsonLine[]> {
    return (await this.cluster.done(...args)).lines
  }

  pop(max: number, ...verdict: string[]): Promise<readonly JsonLine[]> {
    const flags = ['--max', String(max), '--wait', '10s', ...verdict]
    return this.lines('pop', topic, '--group', group, ...flags)
  }

  async restart(): Promise<void> {
    await this.cluster.broker().stop('SIGKILL')
    await this.cluster.broker().start()
  }

  /** All messages are in these states; those left out are 0. */
  async stand(states: Partial<StateSums>): Promise<void> {
    const none = { ready: 0, leased: 0, retrying: 0, parked: 0, dead: 0, acked: 0, skipped: 0 }
    assert.deepEqual(await lagSums(this.cluster, group), { ...none, high: keys.length, ...states })
  }

  /** Ends with 1 and says why. */
  async refused(error: RegExp, ...args: string[]): Promise<readonly JsonLine[]> {
    const { code, stderr, lines } = await this.cluster.popmq(...args)
    assert.equal(code, 1, stderr)
    assert.match(stderr, error)
    return lines
  }
}

function of<T>(lines: readonly JsonLine[], field: string): T[] {
  return lines.map((line) => line[field] as T)
}

scenario(
  'a message that fails waits as a retry, and one that fails for the last time is a dead letter, over kills of the broker',
  async (scene) => {
    const mail = await Mail.start(scene)
    const failed = await mail.pop(4, '--nack', 'no such street')
    assert.deepEqual(of(failed, 'attempt'), [1, 1, 1, 1])
    await mail.stand({ ready: 2, retrying: 4 })
    const retries = await mail.lines('retry', 'list', group)
    assert.equal(retries.length, 4)
    for (const { attempts, state } of retries)
      assert.deepEqual({ attempts, state }, { attempts: 1, state: 'waiting' })
    await mail.restart()
    assert.deepEqual(await mail.lines('retry', 'list', group), retries)
    await mail.stand({ ready: 2, retrying: 4 })

    const acked = await mail.pop(2, '--ack')
    const seen = [...of<string>(failed, 'key'), ...of<string>(acked, 'key')]
    assert.deepEqual(seen.toSorted(), keys)
    await mail.stand({ retrying: 4, acked: 2 })
    const [first = '', second = '', third = '', fourth = ''] = of<string>(retries, 'id')
    const now = await mail.lines('retry', 'now', group, '--ids', first, second)
    assert.deepEqual(of(now, 'result'), ['done', 'done'])
    const again = await mail.pop(2, '--nack', 'return to sender')
    assert.deepEqual(of(again, 'attempt'), [2, 2])
    await mail.stand({ retrying: 2, acked: 2, dead: 2 })
    const given = await mail.lines('retry', 'dead', group, '--ids', third, '--yes')
    assert.deepEqual(of(given, 'result'), ['done'])
    await mail.stand({ retrying: 1, acked: 2, dead: 3 })
    await mail.refused(/message_not_found/, 'retry', 'now', group, '--ids', first)
    await mail.restart()
    await mail.stand({ retrying: 1, acked: 2, dead: 3 })

    await assertLetters(mail, { failed, again })
    await mail.lines('retry', 'now', group, '--ids', fourth)
    const [last] = await mail.pop(1, '--ack')
    assert.equal(last?.['attempt'], 2)
    await mail.stand({ acked: 3, dead: 3 })
    assert.deepEqual(await mail.lines('retry', 'list', group), [])
  },
)

/** Two letters of one error, which failed twice, and one that was given up. */
async function assertLetters(
  mail: Mail,
  { failed, again }: Record<'failed' | 'again', readonly JsonLine[]>,
): Promise<void> {
  const letters = await mail.lines('dlq', 'list', group)
  const places = ({ topic: name, partition, offset, key }: JsonLine): unknown => ({
    name,
    partition,
    offset,
    key,
  })
  assert.deepEqual(letters.slice(0, 2).map(places), again.map(places))
  assert.deepEqual(of(letters, 'attempts'), [2, 2, 1])
  assert.deepEqual(of(letters, 'error'), ['return to sender', 'return to sender', 'no such street'])
  assert.deepEqual(of(letters, 'state'), ['open', 'open', 'open'])
  const [one, , other] = letters
  assert.ok(one !== undefined && other !== undefined)
  const counts = (await mail.lines('dlq', 'groups', group)).map(
    ({ fingerprint, error, count, open }) => [...[fingerprint, error, count, open]],
  )
  assert.deepEqual(counts, [
    [one['fingerprint'], 'return to sender', 2, 2],
    [other['fingerprint'], 'no such street', 1, 1],
  ])
  assert.equal(
    (await mail.lines('dlq', 'list', group, '--fingerprint', String(one['fingerprint']))).length,
    2,
  )

  const [shown] = await mail.lines('dlq', 'show', group, String(one['id']))
  const { history, message, cause } = shown as unknown as {
    readonly history: readonly (JsonLine & { readonly error: JsonLine })[]
    readonly message: JsonLine
    readonly cause: string
  }
  assert.equal(cause, 'nack')
  const told = history.map(({ n, outcome, error }) => ({ n, outcome, error: error['message'] }))
  assert.deepEqual(told, [
    { n: 1, outcome: 'nack', error: 'no such street' },
    { n: 2, outcome: 'nack', error: 'return to sender' },
  ])
  const sent = failed.find(({ id }) => id === one['messageId'])
  assert.deepEqual(message['value'], sent?.['value'])
  assert.equal(message['appendedAt'], sent?.['appendedAt'])
  const [operators] = await mail.lines('dlq', 'show', group, String(other['id']))
  assert.equal(operators?.['cause'], 'operator')
  await mail.refused(
    /message_not_found/,
    'dlq',
    'show',
    group,
    `${String(one['id']).split('-')[0]}-999`,
  )
}

scenario(
  'dead letters are discarded and restored by id, by fingerprint and all, and stay so over a kill of the broker',
  async (scene) => {
    const mail = await Mail.start(scene)
    await mail.lines('group', 'config', group, 'maxAttempts=1')
    await mail.pop(4, '--nack', 'no such street')
    await mail.pop(2, '--nack', 'return to sender')
    await mail.stand({ dead: 6 })
    const letters = await mail.lines('dlq', 'list', group)
    const ids = of<string>(letters, 'id')
    const change = async (...args: string[]): Promise<unknown[]> =>
      of(await mail.lines('dlq', ...args), 'result')
    const states = async (): Promise<unknown[]> =>
      of(await mail.lines('dlq', 'list', group), 'state')
    const [first = ''] = ids
    const street = String(letters[0]?.['fingerprint'])
    assert.deepEqual(await change('discard', group, '--ids', first, '--yes'), ['done'])
    assert.deepEqual(await change('discard', group, '--ids', first, '--yes'), ['already'])
    await mail.stand({ dead: 5, skipped: 1 })
    await mail.restart()
    await mail.stand({ dead: 5, skipped: 1 })
    assert.deepEqual(await states(), ['discarded', 'open', 'open', 'open', 'open', 'open'])
    // Those that are open.
    assert.equal((await change('discard', group, '--fingerprint', street, '--yes')).length, 3)
    await mail.stand({ dead: 2, skipped: 4 })
    const counts = (await mail.lines('dlq', 'groups', group)).map(({ count, open }) => [
      count,
      open,
    ])
    assert.deepEqual(counts, [
      [4, 0],
      [2, 2],
    ])
    assert.equal((await change('restore', group, '--all')).length, 4)
    await mail.stand({ dead: 6 })
    assert.deepEqual(await change('restore', group, '--ids', first), ['already'])
    await mail.restart()
    assert.deepEqual(await mail.lines('dlq', 'list', group), letters)
    await mail.stand({ dead: 6 })
    await mail.refused(/message_not_found/, 'dlq', 'discard', group, '--ids', '1-999', '--yes')
  },
)

scenario(
  'a message in hand is known after a kill of the broker, and comes again at once when it is taken away',
  async (scene) => {
    const mail = await Mail.start(scene)
    const [held] = await mail.pop(1, '--hold')
    assert.ok(held)
    await mail.pop(5, '--ack')
    await mail.stand({ leased: 1, acked: 5 })
    const inflight = await mail.lines('inflight', 'list', group)
    assert.equal(inflight.length, 1)
    const { id, attempt, partition, offset } = inflight[0] ?? {}
    assert.deepEqual(
      { attempt, partition, offset },
      { attempt: 1, partition: held['partition'], offset: held['offset'] },
    )
    // Its lease was in the log before what was acked.
    await mail.restart()
    assert.deepEqual(await mail.lines('inflight', 'list', group), inflight)
    await mail.stand({ leased: 1, acked: 5 })

    const waiting = mail.pop(1, '--nack', 'taken away')
    const release = async (): Promise<boolean> => {
      const results = of(
        await mail.lines('inflight', 'release', group, '--ids', String(id)),
        'result',
      )
      return results[0] === 'released'
    }
    assert.ok(await release())
    const [again] = await waiting
    assert.deepEqual([again?.['id'], again?.['attempt']], [held['id'], 2])
    await mail.stand({ acked: 5, dead: 1 })
    const refused = await mail.refused(
      /message_not_found/,
      'inflight',
      'release',
      group,
      '--ids',
      String(id),
    )
    assert.deepEqual(of(refused, 'result'), ['unknown'])
    const [letter] = await mail.lines('dlq', 'list', group)
    assert.deepEqual([letter?.['messageId'], letter?.['attempts']], [held['id'], 2])
  },
)
