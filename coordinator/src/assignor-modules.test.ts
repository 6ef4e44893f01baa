import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { systemClock } from '@popmq/kit'
import { isMqError, topicId } from '@popmq/protocol'
import { loadAssignorModules, type LoadedModules } from './assignor-modules.ts'
import { assignByModule, type Assigned } from './core/groups/assignor-choice.ts'
import { sticky } from './core/groups/assignors/sticky.ts'

const input = {
  members: [
    { memberId: 'a', topics: [topicId(1)] },
    { memberId: 'b', topics: [topicId(1)] },
  ],
  topics: [{ topicId: topicId(1), partitions: 2 }],
  held: [],
}

const sources: Readonly<Record<string, string>> = {
  'first.mjs': `export const assign = ({ members, topics }) => topics.flatMap(({ topicId, partitions }) =>
    Array.from({ length: partitions }, (_, partition) => ({ topicId, partition, memberId: members[0].memberId })))`,
  'throws.mjs': `export function assign() { throw new Error('no idea') }`,
  'hangs.mjs': `export function assign() { for (;;); }`,
  'twice.mjs': `export const assign = () => [0, 0].map((partition) => ({ topicId: 1, partition, memberId: 'a' }))`,
  'short.mjs': `export const assign = () => [{ topicId: 1, partition: 0, memberId: 'a' }]`,
  'stranger.mjs': `export const assign = () => [0, 1].map((partition) => ({ topicId: 1, partition, memberId: 'z' }))`,
  'nothing.mjs': `export const assign = () => undefined`,
  'constant.mjs': `export const assign = 17`,
  'broken.mjs': `export const assign = (`,
  'notes.txt': 'not a module',
}

let folder: string
let quick: LoadedModules
let patient: LoadedModules

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'popmq-assignors-'))
  for (const [name, text] of Object.entries(sources)) await writeFile(join(folder, name), text)
  quick = await loadAssignorModules(folder, { clock: systemClock })
  patient = await loadAssignorModules(folder, { clock: systemClock, withinMs: 60_000 })
})

after(async () => {
  await quick.close()
  await patient.close()
  await rm(folder, { recursive: true })
})

const assign = (name: string): Promise<Assigned> =>
  assignByModule(name, input, name === 'hangs' ? quick.assignors : patient.assignors)

void test('what a module assigns is used', async () => {
  assert.deepEqual(await assign('first'), {
    placements: [
      { topicId: 1, partition: 0, memberId: 'a' },
      { topicId: 1, partition: 1, memberId: 'a' },
    ],
  })
})

const refusals: Readonly<Record<string, RegExp>> = {
  throws: /throws: it threw Error: no idea/,
  hangs: /hangs: it took more than 50 ms/,
  twice: /twice: the assignor gave partition 0 of topic 1 twice/,
  short: /short: the assignor gave 1 of 2 partitions/,
  stranger: /stranger: the assignor gave partition 0 of topic 1 to z, which does not read it/,
  nothing: /nothing: the assignor gave no list/,
  constant: /constant: it exports no function assign, but number/,
  broken: /broken: it cannot be loaded: SyntaxError/,
  absent: /absent: this coordinator has no such assignor/,
}

for (const [name, reason] of Object.entries(refusals)) {
  void test(`instead of the module "${name}" the sticky assignor is used, with the reason`, async () => {
    const { placements, fallback } = await assign(name)
    assert.match(fallback ?? '', reason)
    assert.deepEqual(placements, sticky(input))
  })
}

void test('a module that hung is begun anew and hangs again', async () => {
  assert.match((await assign('hangs')).fallback ?? '', /hangs: /)
  assert.match((await assign('hangs')).fallback ?? '', /hangs: /)
})

void test('a folder that is not there is refused', async () => {
  await assert.rejects(
    loadAssignorModules(join(folder, 'absent'), { clock: systemClock }),
    (error: unknown) => isMqError(error, 'invalid_config'),
  )
})
