/** What users install: client and cli packed, installed into an empty folder, `npx popmq dev` and the README's ten lines. */
import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { repository } from '../harness/popmq.ts'
import { freePorts } from '../harness/port.ts'
import { type Ended, Program } from '../harness/program.ts'
import { scenario } from '../harness/scenario.ts'
import { until, within } from '../harness/waiting.ts'

async function done(command: string, args: readonly string[], cwd: string): Promise<Ended> {
  const ended = await new Program(command, args, { cwd }).ended
  assert.equal(ended.code, 0, `${command} ${args.join(' ')}\n${ended.stdout}\n${ended.stderr}`)
  return ended
}

async function tenLines(): Promise<string> {
  const readme = await readFile(path.join(repository, 'README.md'), 'utf8')
  const code = /^```js\n(?<code>.*?)^```$/ms.exec(readme)?.groups?.['code']
  assert.ok(code !== undefined, 'the README has a block of JavaScript')
  return code
}

scenario(
  'packed and installed into an empty folder, npx popmq dev starts and the ten lines of the README run',
  async (scene) => {
    const { folder } = scene
    for (const workspace of ['client', 'cli']) {
      await done('npm', ['pack', '-w', workspace, '--pack-destination', folder], repository)
    }
    const tarballs = (await readdir(folder)).filter((name) => name.endsWith('.tgz'))
    assert.equal(tarballs.length, 2)
    await writeFile(scene.path('package.json'), '{ "private": true }\n')
    const quiet = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund']
    await done('npm', ['install', ...quiet, ...tarballs.map((name) => `./${name}`)], folder)

    const base = await freePorts(11)
    const server = `localhost:${base}`
    const args = ['--no-install', 'popmq', 'dev', '--json', '--port-base', String(base)]
    const dev = scene.keep(new Program('npx', args, { cwd: folder }))
    await until(() => dev.lines.length > 0 || dev.hasEnded, { what: 'npx popmq dev to serve' })
    assert.equal(dev.lines[0]?.['role'], 'dev', dev.stderr)
    assert.ok((await readdir(folder)).includes('data'), 'the data is in ./data')

    await writeFile(scene.path('ten-lines.mjs'), await tenLines())
    for (const offset of [0, 1]) {
      const program = new Program(process.execPath, ['ten-lines.mjs'], {
        cwd: folder,
        env: { POPMQ_SERVER: server },
      })
      const { code, stdout, stderr } = await program.ended
      assert.equal(code, 0, stderr)
      assert.equal(stdout, `o-17 { total: 42 }\ngo on at ${offset + 1}\n`)
    }
    const asked = await done(
      'npx',
      ['--no-install', 'popmq', 'topic', 'list', '--json', '--server', server],
      folder,
    )
    assert.match(asked.stdout, /^\{"name":"orders",/)
    // npx would die of the signal itself; it ends as its child does.
    process.kill(Number(dev.lines[0]?.['pid']), 'SIGTERM')
    const { code, stderr } = await within(dev.ended, { what: 'popmq dev to end' })
    assert.equal(code, 0, stderr)
  },
)
