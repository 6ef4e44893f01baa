import assert from 'node:assert/strict'
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import type { Cluster } from './cluster.ts'
import { startPopmq } from './popmq.ts'
import type { JsonLine, Program } from './program.ts'
import type { Scene } from './scenario.ts'

export interface CrewSettings {
  readonly topic: string
  readonly group: string
  readonly workers: number
  readonly concurrency: number
  /** What the shell does with the message whose id in the value is `$id`, after it was written down: builtins only. */
  readonly verdict?: string
}

/** One run of the command, or what the scenario did meanwhile; in the order in which they were written down. */
export type CrewEvent =
  | {
      readonly kind: 'handled'
      readonly worker: string
      readonly id: string
      readonly attempt: number
    }
  | { readonly kind: 'killed'; readonly name: string }
  | { readonly kind: 'back'; readonly name: string }

/** Processes of `popmq work` whose command writes to one file which worker has which message, at which attempt. */
export class WorkCrew {
  readonly #scene: Scene
  readonly #cluster: Cluster
  readonly #settings: CrewSettings
  readonly #file: string
  readonly #members: { name: string; life: number; program: Program }[] = []

  constructor(scene: Scene, cluster: Cluster, settings: CrewSettings) {
    this.#scene = scene
    this.#cluster = cluster
    this.#settings = settings
    this.#file = scene.path('handled')
    writeFileSync(this.#file, '')
    for (let index = 0; index < settings.workers; index += 1) this.#begin(index)
  }

  /** The processes that run now. */
  get programs(): readonly Program[] {
    return this.#members.map(({ program }) => program)
  }

  /** Kills one process and starts it again. */
  async kill(index: number): Promise<void> {
    const member = this.#members[index]
    assert.ok(member, `there is a worker ${index}`)
    this.note('killed', member.name)
    await member.program.stop('SIGKILL')
    this.#begin(index)
  }

  /**
   * Stops one process in good order and starts another. Only the process: a command that is just being started is still of
   * its group.
   */
  async replace(index: number, signal: NodeJS.Signals): Promise<void> {
    const member = this.#members[index]
    assert.ok(member, `there is a worker ${index}`)
    const { code, stderr } = await member.program.stopAlone(signal)
    assert.equal(code, 0, stderr)
    this.#begin(index)
  }

  /** Writes down, between what is handled, that a process was killed or is back. */
  note(what: 'killed' | 'back', name: string): void {
    appendFileSync(this.#file, `${what} ${name}\n`)
  }

  /** All that was written down so far. */
  get events(): CrewEvent[] {
    const lines = readFileSync(this.#file, 'utf8').split('\n').slice(0, -1)
    return lines.map((line): CrewEvent => {
      const [word = '', name = '', id = '', attempt = ''] = line.split(' ')
      if (word === 'killed' || word === 'back') return { kind: word, name }
      assert.equal(word, 'handled', `a line of the file is whole: ${line}`)
      return { kind: 'handled', worker: name, id, attempt: Number(attempt) }
    })
  }

  get handledCount(): number {
    return this.events.filter(({ kind }) => kind === 'handled').length
  }

  /** Stops all as a user does: each ends with 0. */
  async stop(): Promise<void> {
    const ends = await Promise.all(this.programs.map((program) => program.stopAlone('SIGTERM')))
    for (const { code, stderr } of ends) assert.equal(code, 0, stderr)
  }

  /** Starts the worker in this place once more, under a name of its own. */
  #begin(index: number): void {
    const life = (this.#members[index]?.life ?? 0) + 1
    const name = `worker-${index}.${life}`
    const { topic, group, concurrency } = this.#settings
    const program = this.#scene.keep(
      startPopmq(
        [
          'work',
          topic,
          '--group',
          group,
          '--exec',
          this.#command,
          '--concurrency',
          `${concurrency}`,
        ],
        { server: this.#cluster.server, env: { WORKER: name, HANDLED: this.#file } },
      ),
    )
    this.#scene.onFailure(() => {
      const isOdd = ({ result }: JsonLine): boolean => result === 'lost' || result === 'released'
      const failed = program.lines.filter(isOdd)
      const told = [...failed.map((line) => JSON.stringify(line)), program.stderr].join('\n')
      return told === '' ? '' : `── ${name}\n${told}`
    })
    this.#members[index] = { name, life, program }
  }

  /** Forks nothing beside its shell: there are thousands. One `echo` is one write, so lines of a file never mix. */
  get #command(): string {
    return [
      'read -r line',
      `value=\${line#*'"value":'}`,
      `id=\${value#*'"id":"'}`,
      `id=\${id%%'"'*}`,
      // The worker was killed before it told the message.
      '[ -n "$id" ] || exit 1',
      'echo "handled $WORKER $id $POPMQ_ATTEMPT" >> "$HANDLED"',
      this.#settings.verdict ?? 'exit 0',
    ].join('\n')
  }
}
