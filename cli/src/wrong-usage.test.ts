import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { transcript } from './testing/fake-surroundings.ts'

const program = fileURLToPath(new URL('../bin/popmq.js', import.meta.url))

function popmq(...args: string[]): { exitCode: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
    encoding: 'utf8',
  })
  return { exitCode: status, stdout, stderr }
}

void test('the program ends with 2 and names the nearest flag, on stderr alone', () => {
  assert.deepEqual(popmq('produce', 'orders', '{}', '--pratition', '1', '--json'), {
    exitCode: 2,
    stdout: '',
    stderr: 'error invalid_request: unknown option --pratition (did you mean --partition?)\n',
  })
})

void test('the program ends with 2 and names the nearest command', () => {
  const { exitCode, stderr } = popmq('topic', 'lits')
  assert.equal(stderr, 'error invalid_request: unknown command topic lits (did you mean list?)\n')
  assert.equal(exitCode, 2)
})

void test('the program tells its version and helps, and ends with 0', () => {
  const version = popmq('--version')
  assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/)
  assert.equal(version.exitCode, 0)
  const help = popmq('produce', '--help')
  assert.match(help.stdout, /--deliver-within/)
  assert.match(help.stdout, /--server/)
  assert.equal(help.exitCode, 0)
})

void test('without a command the program shows what there is, and ends with 2', () => {
  const { exitCode, stdout, stderr } = popmq()
  assert.deepEqual([exitCode, stdout], [2, ''])
  assert.match(stderr, /Usage: popmq/)
})

void test('what is to come is told apart from what is mistyped', async () => {
  const expected: [string, RegExp][] = [
    ['parked list g', /unknown command parked: it is not available yet/],
    ['dlq replay g --all', /unknown command dlq replay: it is not available yet/],
  ]
  for (const [line, what] of expected) {
    const { exitCode, stderr } = await transcript(line)
    assert.match(stderr, what)
    assert.equal(exitCode, 2)
  }
})

void test('a flag that is needed and mistyped is named as mistyped', async () => {
  for (const [line, what] of [
    ['pop t --gruop g --ack', /unknown option --gruop \(did you mean --group\?\)/],
    ['work t --group g --exce=true', /unknown option --exce \(did you mean --exec\?\)/],
    ['group reset g t --ot 4', /unknown option --ot \(did you mean --to\?\)/],
    ['pop t --ack', /required option '--group <group>' not specified/],
  ] as const) {
    const { exitCode, stderr } = await transcript(line)
    assert.match(stderr, what)
    assert.equal(exitCode, 2, line)
  }
})

void test('a value that is not allowed is named with its flag or argument', async () => {
  const expected: [string, RegExp][] = [
    [
      'consume t --max 0',
      /^error invalid_request: --max: "0" is not a whole number of at least 1 /,
    ],
    ['consume t --from x', /"x" is not a time/],
    [
      'message at t x 1',
      /^error invalid_request: partition: "x" is not a whole number from 0 to 1023 /,
    ],
    ['produce t 1 --acks disc', /--acks: "disc" is not an ack level: did you mean disk\?/],
    [
      'produce t 1 --deliver-within 16m',
      /--deliver-within: "16m" is out of range: write 1ms to 15m/,
    ],
    ['topic create t retentoin=1h', /unknown key "retentoin": did you mean retention\?/],
    ['topic list --log-level loud', /--log-level: "loud" is not a log level/],
    ['bench produse', /unknown workload "produse": did you mean produce\?/],
    ['broker --id 1', /required option '--coordinators/],
    ['topic describe', /missing required argument 'topic'/],
    ['topic describe a b', /too many arguments/],
  ]
  for (const [line, what] of expected) {
    const { exitCode, stderr } = await transcript(line)
    assert.match(stderr, what)
    assert.equal(exitCode, 2, line)
  }
})

void test('a config file with an unknown key is wrong usage', async () => {
  const files = { './popmq.json': '{"sevrer":"a:1"}' }
  const { exitCode, stderr } = await transcript('topic list', { files })
  assert.match(
    stderr,
    /^error invalid_config: \.\/popmq\.json: unknown key "sevrer": did you mean server\?/,
  )
  assert.equal(exitCode, 2)
})
