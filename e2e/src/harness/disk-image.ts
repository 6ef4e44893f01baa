import { execFile, execFileSync } from 'node:child_process'
import { access, constants, mkdir, open, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { lastAct } from './last-act.ts'

const run = promisify(execFile)

/** An ext4 file system in a file, mounted by a loop device. */
export class DiskImage {
  /** Where it is mounted. */
  readonly folder: string
  readonly #file: string
  readonly #unmounted: () => void
  #isMounted = true

  private constructor(file: string, folder: string) {
    this.#file = file
    this.folder = folder
    this.#unmounted = lastAct(() => execFileSync('umount', ['-l', folder]))
  }

  /** A new, empty file system of `bytes` bytes; the file is sparse. */
  static async create(file: string, bytes: number): Promise<DiskImage> {
    await (await open(file, 'wx')).close()
    await truncate(file, bytes)
    // Lazy initialisation would write in the background, at a time of its own.
    await run('mkfs.ext4', [
      '-q',
      '-F',
      '-E',
      'lazy_itable_init=0,lazy_journal_init=0,nodiscard',
      file,
    ])
    return DiskImage.#mount(file)
  }

  static async #mount(file: string): Promise<DiskImage> {
    const folder = `${file}.mounted`
    await mkdir(folder)
    await run('mount', ['-o', 'loop,noatime', file, folder])
    return new DiskImage(file, folder)
  }

  /**
   * The disk as a power cut at this moment would leave it: what was written and not synced is still in the page cache
   * of the mounted file system, so a copy of the image does not hold it. The original is thrown away.
   */
  async cut(name: string): Promise<DiskImage> {
    const copy = path.join(path.dirname(this.#file), name)
    await run('cp', ['--sparse=always', this.#file, copy])
    await this.close()
    await rm(this.#file)
    return DiskImage.#mount(copy)
  }

  async close(): Promise<void> {
    if (!this.#isMounted) return
    this.#isMounted = false
    await run('umount', [this.folder])
    this.#unmounted()
  }
}

/** @returns why images cannot be mounted on this machine; undefined when they can */
export async function whyNoImages(folder: string): Promise<string | undefined> {
  try {
    const image = await DiskImage.create(path.join(folder, 'probe.image'), 16 * 1_048_576)
    await image.close()
    await rm(path.join(folder, 'probe.image'))
    return undefined
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return `no file system can be mounted from a file (${reason.replaceAll(/\s+/g, ' ').slice(0, 200)})`
  }
}

const settings = ['dirty_writeback_centisecs', 'dirty_expire_centisecs'].map(
  (name) => `/proc/sys/vm/${name}`,
)

/** @returns why power cannot be cut on this machine; undefined when it can */
export async function whyNoCuts(folder: string): Promise<string | undefined> {
  try {
    for (const file of settings) await access(file, constants.W_OK)
    return await whyNoImages(folder)
  } catch (error) {
    return `the kernel's writeback cannot be held (${String(error)})`
  }
}

/** Keeps the kernel from writing dirty pages by itself, so that what is not synced is surely lost in a cut. */
export class HeldWriteback {
  readonly #before: ReadonlyMap<string, string>
  readonly #restored: () => void

  private constructor(before: ReadonlyMap<string, string>) {
    this.#before = before
    this.#restored = lastAct(() => {
      for (const [file, value] of before) writeFileSync(file, value)
    })
  }

  static async hold(): Promise<HeldWriteback> {
    const before = new Map(settings.map((file) => [file, readFileSync(file, 'utf8')]))
    const held = new HeldWriteback(before)
    for (const file of settings) await writeFile(file, file.includes('writeback') ? '0' : '360000')
    return held
  }

  async close(): Promise<void> {
    for (const [file, value] of this.#before) {
      await writeFile(file, value)
      if ((await readFile(file, 'utf8')) !== value)
        throw new Error(`${file} could not be set back to ${value}`)
    }
    this.#restored()
  }
}
