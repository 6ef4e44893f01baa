import { rmSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test, type TestContext } from 'node:test'
import { type Closable, closeAll } from '@popmq/kit'
import { lastAct } from './last-act.ts'

/** What one scenario holds: a folder and whatever it started, let go in reverse order however it ends. */
export class Scene {
  /** A folder of its own, removed at the end. */
  readonly folder: string
  readonly #parts: Closable[] = []
  #closing: Promise<void> | undefined
  readonly #witnesses: (() => string)[] = []

  constructor(folder: string) {
    this.folder = folder
  }

  keep<T extends Closable>(part: T): T {
    this.#parts.push(part)
    return part
  }

  /** `tell` is asked for what helps to understand a failure. */
  onFailure(tell: () => string): void {
    this.#witnesses.push(tell)
  }

  path(...names: string[]): string {
    return path.join(this.folder, ...names)
  }

  async file(name: string, content: string): Promise<string> {
    await writeFile(this.path(name), content)
    return this.path(name)
  }

  account(): string {
    return this.#witnesses.map((tell) => tell()).join('\n')
  }

  /** Twice is once. */
  close(): Promise<void> {
    this.#closing ??= closeAll(this.#parts)
    return this.#closing
  }
}

export interface ScenarioOptions {
  /** @defaultValue 120_000, or what E2E_TIMEOUT_MS says */
  readonly timeoutMs?: number
}

/** A test over real processes. */
export function scenario(
  sentence: string,
  body: (scene: Scene, t: TestContext) => Promise<void>,
  { timeoutMs = Number(process.env['E2E_TIMEOUT_MS'] ?? 120_000) }: ScenarioOptions = {},
): void {
  void test(sentence, { timeout: timeoutMs }, async (t) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'popmq-e2e-'))
    const removed = lastAct(() => rmSync(folder, { recursive: true, force: true }))
    const scene = new Scene(folder)
    // When the time is up node only stops waiting: what the scenario started would keep the process alive.
    t.signal.addEventListener('abort', () => {
      scene.close().catch((error: unknown) => t.diagnostic(String(error)))
    })
    try {
      await body(scene, t)
    } catch (error) {
      for (const line of tail(scene.account()).split('\n')) t.diagnostic(line)
      throw error
    } finally {
      await scene.close()
      await rm(folder, { recursive: true, force: true })
      removed()
    }
  })
}

function tail(text: string): string {
  const most = 8_000
  return text.length > most ? `…${text.slice(-most)}` : text
}
